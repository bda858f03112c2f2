#include "experiments/report/decision.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/price.h"

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

/// A column that only some scenarios have.
struct OwnColumn {
  const char* title;
  const char* figure;  // the table has the column where a cell has this
  std::string (*show)(const json& cell);
};
const std::array<OwnColumn, 4> kOwnColumns{{
    {"log kept for the slot, most", "slot_wait_ms.max",
     [](const json& cell) { return BytesText(CellFigure(cell, "retained_wal_bytes.max")); }},
    {"another slot waited, longest", "slot_wait_ms.max",
     [](const json& cell) { return WithInterval(cell, "slot_wait_ms.max", true); }},
    {"own writes read stale (with a token)", "own_reads.without_token.reads",
     [](const json& cell) {
       return NumberText(CellFigure(cell, "own_reads.without_token.stale")) + " (" +
              NumberText(CellFigure(cell, "own_reads.with_token.stale")) + ")";
     }},
    {"reads of two stores fractured (at one cut)", "pair_reads.without_cut.reads",
     [](const json& cell) {
       return NumberText(CellFigure(cell, "pair_reads.without_cut.fractured")) + " (" +
              NumberText(CellFigure(cell, "pair_reads.with_cut.fractured")) + ")";
     }},
}};

void AddOwnColumns(const json& cells, Table& table) {
  for (const OwnColumn& column : kOwnColumns) {
    const auto has = [&](const json& cell) {
      return CellFigure(cell, column.figure).is_number();
    };
    if (std::none_of(cells.begin(), cells.end(), has)) continue;
    table.header.emplace_back(column.title);
    for (size_t i = 0; i < cells.size(); ++i) {
      table.rows.at(i).push_back(has(cells.at(i)) ? column.show(cells.at(i)) : kDash);
    }
  }
}

/// Nothing of a cell without its fault, or in which nothing was due, is an answer.
void BlankOut(const json& cells, Table& table) {
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string why = WhyNotJudged(cells.at(i));
    if (why.empty()) continue;
    const char* const blank = why.starts_with("n/a") ? "n/a" : kDash;
    std::fill(table.rows.at(i).begin() + 1, table.rows.at(i).end(), blank);
  }
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
  AddOwnColumns(summary.at("cells"), table);
  BlankOut(summary.at("cells"), table);
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
