#include "experiments/compare/compare.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiments/compare/comparable.h"
#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/statistics.h"
#include "experiments/summary/summary.h"
#include "experiments/summary/two_samples.h"

namespace indoubt {
namespace {

using nlohmann::json;

struct ComparedFigure {
  const char* name;
  bool higher_is_better;
};
// Few, and each of them a price that somebody pays: every figure more makes chance
// findings likelier, and so the true ones harder to tell from them.
constexpr std::array<ComparedFigure, 13> kFigures{{{"throughput_per_s", true},
                                                   {"response_ms.p50", false},
                                                   {"response_ms.p99", false},
                                                   {"failed", false},
                                                   {"unknown", false},
                                                   {"in_doubt_ms.p99", false},
                                                   {"blocked_ms.p99", false},
                                                   {"blocked_over_100ms", false},
                                                   {"lag_ms.p50", false},
                                                   {"lag_ms.p99", false},
                                                   {"catch_up_ms", false},
                                                   {"fractured_reads", false},
                                                   {"inconsistent.transient", false}}};
constexpr std::array<const char*, 5> kCorrectness{"inconsistent.permanent", "lost_acknowledged",
                                                  "resurrected", "leftovers", "unwritable"};
constexpr double kFamilyLevel = 0.05;
// Within this share of the base nobody would decide otherwise.
constexpr double kSameShare = 0.1;

using Samples = std::vector<std::optional<double>>;

struct Line {
  json out;
  FamilyLine samples;
  bool higher_is_better = false;
};

/// The figure in repetitions 1 to `most`; none where it is missing or does not count.
Samples ByRepetition(const json& cell, const std::string& figure, size_t most) {
  Samples samples(most);
  for (const json& rep : cell.at("reps")) {
    const auto n = rep.at("n").get<size_t>();
    const json value = rep.value(FigurePointer(figure), json());
    const bool counts = CountsOverRepetitions(rep.at("status")) && value.is_number();
    if (!counts || n < 1 || n > most) continue;
    samples[n - 1] = value.get<double>();
  }
  return samples;
}

std::vector<double> Present(const Samples& samples) {
  std::vector<double> values;
  for (const auto& value : samples) {
    if (value) values.push_back(*value);
  }
  return values;
}

json Side(const std::vector<double>& values) {
  const auto median = Median(values);
  return {{"median", median ? json(median->median) : json()}, {"n", values.size()}};
}

json ToJson(const std::optional<Shift>& shift) {
  if (!shift) return nullptr;
  const auto bound = [](const std::optional<double>& value) {
    return value ? json(*value) : json();
  };
  return {{"estimate", shift->estimate},
          {"ci_low", bound(shift->low)},
          {"ci_high", bound(shift->high)}};
}

json NewLine(const json& cell, const std::string& figure, bool higher_is_better) {
  return {{"cell", cell.at("name")},
          {"path", cell.at("path")},
          {"params", cell.at("params")},
          {"figure", figure},
          {"better", higher_is_better ? "higher" : "lower"},
          {"level", nullptr},
          {"difference", nullptr},
          {"ratio", nullptr},
          {"p", nullptr},
          {"reason", nullptr}};
}

Line MeasuredLine(const json& base, const json& candidate, const ComparedFigure& figure,
                  size_t base_reps, size_t candidate_reps) {
  Line line;
  line.higher_is_better = figure.higher_is_better;
  line.samples = {ByRepetition(base, figure.name, base_reps),
                  ByRepetition(candidate, figure.name, candidate_reps)};
  line.out = NewLine(base, figure.name, figure.higher_is_better);
  const std::vector<double> first = Present(line.samples.first);
  const std::vector<double> second = Present(line.samples.second);
  line.out["base"] = Side(first);
  line.out["candidate"] = Side(second);
  for (const double level : {0.99, 0.95}) {
    const auto difference = Difference(first, second, level);
    line.out["difference"] = ToJson(difference);
    line.out["ratio"] = ToJson(Ratio(first, second, level));
    if (!difference || !difference->low) continue;
    line.out["level"] = level;
    break;
  }
  return line;
}

/// Whether the whole interval lies where nobody would decide otherwise.
bool AsGoodAsEqual(const json& line) {
  const json& difference = line.at("difference");
  const double low = difference.at("ci_low").get<double>();
  const double high = difference.at("ci_high").get<double>();
  const double bound = kSameShare * std::abs(line.at("base").at("median").get<double>());
  return -bound <= low && high <= bound;
}

void Decide(Line& line, double probability) {
  json& out = line.out;
  const auto say = [&out](const char* verdict, const std::string& reason) {
    out["verdict"] = verdict;
    if (!reason.empty()) out["reason"] = reason;
  };
  for (const char* side : {"base", "candidate"}) {
    if (out.at(side).at("n") == 0) {
      return say("cannot tell", fmt::format("not measured in the {}", side));
    }
  }
  if (out.at("level").is_null()) {
    return say(
        "cannot tell",
        fmt::format("{} and {} repetitions have no interval; 5 of each have one of 99 "
                    "percent, 4 one of 95",
                    out.at("base").at("n").get<int>(), out.at("candidate").at("n").get<int>()));
  }
  out["p"] = probability;
  const bool above = out.at("difference").at("ci_low").get<double>() > 0;
  const bool below = out.at("difference").at("ci_high").get<double>() < 0;
  if ((above || below) && probability <= kFamilyLevel) {
    return say(above == line.higher_is_better ? "better" : "worse", "");
  }
  if (AsGoodAsEqual(out)) return say("no difference", "");
  if (above || below) {
    return say("cannot tell",
               fmt::format("among so many figures chance gives as much in {:.0f} percent of "
                           "comparisons",
                           100 * probability));
  }
  say("cannot tell", "too noisy: more than 10 percent may hide in it");
}

/// A figure of correctness has no noise: a violation happened or it did not.
json CorrectnessLine(const json& base, const json& candidate, const std::string& figure) {
  json line = NewLine(base, figure, false);
  const auto side = [&](const json& cell) -> json {
    return {{"worst", CellFigure(cell, figure)}, {"n", cell.at("reps").size()}};
  };
  line["base"] = side(base);
  line["candidate"] = side(candidate);
  const json& before = line["base"]["worst"];
  const json& after = line["candidate"]["worst"];
  if (before.is_null() || after.is_null()) {
    line["verdict"] = "cannot tell";
    line["reason"] = fmt::format("not measured in every repetition of the {}",
                                 before.is_null() ? "base" : "candidate");
    return line;
  }
  const double change = after.get<double>() - before.get<double>();
  line["difference"] = {{"estimate", change}, {"ci_low", nullptr}, {"ci_high", nullptr}};
  line["verdict"] = change > 0 ? "worse" : change < 0 ? "better" : "no difference";
  line["reason"] = "the worst repetition; one violation is enough";
  return line;
}

const json* FindCell(const json& summary, const json& cell) {
  for (const json& other : summary.at("cells")) {
    if (other.at("name") == cell.at("name") && other.at("path") == cell.at("path") &&
        other.at("params") == cell.at("params")) {
      return &other;
    }
  }
  return nullptr;
}

void WarnOfLoneCells(const json& here, const json& there, const char* which,
                     std::vector<std::string>& warnings) {
  for (const json& cell : here.at("cells")) {
    if (FindCell(there, cell) != nullptr) continue;
    warnings.push_back(fmt::format("the cell {} is in the {} alone",
                                   cell.at("name").get<std::string>(), which));
  }
}

size_t Repetitions(const json& summary) {
  size_t most = 0;
  for (const json& cell : summary.at("cells")) {
    for (const json& rep : cell.at("reps")) most = std::max(most, rep.at("n").get<size_t>());
  }
  return most;
}

json CompareCells(const json& base, const json& candidate) {
  std::vector<Line> measured;
  json lines = json::array();
  for (const json& cell : base.at("cells")) {
    const json* other = FindCell(candidate, cell);
    if (other == nullptr) continue;
    for (const ComparedFigure& figure : kFigures) {
      measured.push_back(
          MeasuredLine(cell, *other, figure, Repetitions(base), Repetitions(candidate)));
    }
    for (const char* figure : kCorrectness) {
      // What dual-write and the bounds break differs from run to run; see below.
      if (PromisesAtomicity(cell.at("path").get<std::string>())) {
        lines.push_back(CorrectnessLine(cell, *other, figure));
      } else {
        measured.push_back(MeasuredLine(cell, *other, {figure, false}, Repetitions(base),
                                        Repetitions(candidate)));
      }
    }
  }
  std::vector<FamilyLine> family;
  family.reserve(measured.size());
  for (const Line& line : measured) family.push_back(line.samples);
  const std::vector<double> probabilities = FamilyProbabilities(family);
  for (size_t i = 0; i < measured.size(); ++i) {
    Decide(measured[i], probabilities[i]);
    lines.push_back(std::move(measured[i].out));
  }
  return lines;
}

json Describe(const std::string& folder, const json& summary) {
  const json& env = summary.at("env");
  return {{"folder", folder},
          {"id", summary.at("run").at("id")},
          {"git_sha", env.is_object() ? env.value("git_sha", json()) : json()},
          {"seed", summary.at("run").at("seed")},
          {"repetitions", Repetitions(summary)}};
}

}  // namespace

Result<json> CompareRuns(const std::string& base_folder, const std::string& candidate_folder) {
  INDOUBT_ASSIGN_OR_RETURN(const json base, Summarise(base_folder));
  INDOUBT_ASSIGN_OR_RETURN(const json candidate, Summarise(candidate_folder));
  std::vector<std::string> warnings;
  INDOUBT_RETURN_IF_ERROR(
      CheckComparable(base_folder, base, candidate_folder, candidate, warnings));
  WarnOfLoneCells(base, candidate, "base", warnings);
  WarnOfLoneCells(candidate, base, "candidate", warnings);
  json lines = CompareCells(base, candidate);
  if (lines.empty()) {
    return Status(StatusCode::kInvalidArgument,
                  "these runs cannot be compared: they have no cell (path and parameters) in "
                  "common");
  }
  json violations = json::array();
  const RunJudgement judged = Judge(candidate);
  if (judged.verdict == RunVerdict::kCorrectnessViolated) violations = judged.reasons;
  return json{{"schema", 1},
              {"scenario", base.at("run").at("scenario")},
              {"base", Describe(base_folder, base)},
              {"candidate", Describe(candidate_folder, candidate)},
              {"family_level", kFamilyLevel},
              {"lines", std::move(lines)},
              {"violations", std::move(violations)},
              {"warnings", warnings}};
}

GateVerdict JudgeComparison(const json& comparison) {
  if (!comparison.at("violations").empty()) return GateVerdict::kCorrectnessViolated;
  bool told = false;
  for (const json& line : comparison.at("lines")) {
    if (line.at("verdict") == "worse") return GateVerdict::kWorse;
    told = told || line.at("level").is_number();
  }
  return told ? GateVerdict::kPass : GateVerdict::kCannotTell;
}

}  // namespace indoubt
