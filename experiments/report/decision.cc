#include "experiments/report/decision.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr const char* kDash = "–";
constexpr size_t kForInterval = 6;

/// "10.4 s", and on a line of its own "(10.1 s to 10.6 s)"; a dash where it was not measured.
std::string WithInterval(const json& cell, const std::string& figure, bool time) {
  const auto show = [&](const json& value) {
    return time ? DurationText(value) : NumberText(value);
  };
  const std::string text =
      time ? DurationText(cell, figure) : NumberText(CellFigure(cell, figure));
  if (text == "not measured") return kDash;
  const json& stats = cell.at("stats");
  if (!stats.contains(figure) || stats.at(figure).at("ci_low").is_null()) return text;
  return fmt::format("{}\n({} to {})", text, show(stats.at(figure).at("ci_low")),
                     show(stats.at(figure).at("ci_high")));
}

/// What was turned away or never started, as a share of what was attempted.
std::string RefusedText(const json& cell) {
  const json attempted = CellFigure(cell, "attempted");
  const json failed = CellFigure(cell, "failed"), dropped = CellFigure(cell, "dropped");
  if (!attempted.is_number() || attempted == 0 || !failed.is_number() || !dropped.is_number()) {
    return kDash;
  }
  return fmt::format("{:.1f}%", 100 * (failed.get<double>() + dropped.get<double>()) /
                                    attempted.get<double>());
}

size_t FewestRepetitions(const json& summary) {
  size_t fewest = summary.at("cells").empty() ? 0 : SIZE_MAX;
  for (const json& cell : summary.at("cells")) {
    const auto& reps = cell.at("reps");
    fewest = std::min<size_t>(
        fewest, std::count_if(reps.begin(), reps.end(),
                              [](const json& rep) { return rep.at("status") == "done"; }));
  }
  return fewest;
}

}  // namespace

Table DecisionTable(const json& summary) {
  Table table{{"path", "committed per s", "response p50", "response p99",
               "others blocked, longest", "data stale, longest", "refused or dropped",
               "inconsistent for good", "acknowledged and lost"},
              {}};
  for (const json& cell : summary.at("cells")) {
    table.rows.push_back(
        {cell.at("name").get<std::string>(), WithInterval(cell, "throughput_per_s", false),
         WithInterval(cell, "response_ms.p50", true),
         WithInterval(cell, "response_ms.p99", true),
         WithInterval(cell, "blocked_ms.max", true), WithInterval(cell, "lag_ms.max", true),
         RefusedText(cell), NumberText(CellFigure(cell, "inconsistent.permanent")),
         NumberText(CellFigure(cell, "lost_acknowledged"))});
  }
  return table;
}

Evidence EvidenceOf(const json& summary) {
  Evidence evidence;
  const RunJudgement judgement = Judge(summary);
  const size_t fewest = FewestRepetitions(summary);
  const size_t warnings = summary.at("warnings").size();
  evidence.reasons.push_back(
      CountText(static_cast<double>(fewest), "whole repetition", "whole repetitions") +
      " of each path" + (fewest < kForInterval ? "; an interval takes six" : ""));
  evidence.reasons.push_back(warnings == 0 ? "no warning"
                                           : CountText(static_cast<double>(warnings), "warning",
                                                       "warnings, listed above"));
  evidence.reasons.emplace_back("one machine, one workload; see what this run cannot tell");
  if (judgement.verdict == RunVerdict::kInconclusive) {
    evidence.grade = "none";
    evidence.reasons.push_back(
        fmt::format("inconclusive: {}", fmt::join(judgement.reasons, "; ")));
  } else if (fewest < kForInterval) {
    evidence.grade = "indicative";
  } else {
    evidence.grade = warnings == 0 ? "strong" : "fair";
  }
  return evidence;
}

}  // namespace indoubt
