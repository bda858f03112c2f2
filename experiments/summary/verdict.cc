#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/warnings.h"

namespace indoubt {
namespace {

using nlohmann::json;

// A price is worth a headline from a tenth of a second: below, nobody waits for it.
constexpr double kNoticeableMs = 100;
constexpr double kNoticeableShare = 0.01;
// More cells than these are summed up by path.
constexpr size_t kMostInWords = 6;

std::optional<double> Number(const json& cell, const std::string& figure) {
  return FigureOver(cell, figure).value;
}

std::string Number(const json& value) {
  return value.is_number() ? fmt::format("{:.0f}", value.get<double>()) : "not measured";
}

/// "10.4 s", with its 95 percent interval where the repetitions gave one.
std::string DurationAndInterval(const json& cell, const std::string& figure) {
  const std::string text = DurationText(CellFigure(cell, figure));
  const json stats = cell.value("stats", json::object());
  if (!stats.contains(figure) || stats.at(figure).at("ci_low").is_null()) return text;
  const json& stat = stats.at(figure);
  return fmt::format("{} (95 percent interval {} to {}, {} repetitions)", text,
                     DurationText(stat.at("ci_low")), DurationText(stat.at("ci_high")),
                     stat.at("n").get<int64_t>());
}

bool EveryRepetitionDisturbed(const json& cell) {
  const json& reps = cell.at("reps");
  return !reps.empty() && std::all_of(reps.begin(), reps.end(), [](const json& rep) {
    return rep.at("status") == "disturbed";
  });
}

/// The largest thing that this cell paid with, in words.
std::string Price(const json& cell) {
  const auto permanent = Number(cell, "inconsistent.permanent");
  const auto lost = Number(cell, "lost_acknowledged");
  if (permanent.value_or(0) > 0 || lost.value_or(0) > 0) {
    std::string price =
        CountText(permanent.value_or(0), "key", "keys") + " inconsistent for good";
    if (lost.value_or(0) > 0) {
      price +=
          " and " + CountText(*lost, "acknowledged write", "acknowledged writes") + " lost";
    }
    return price;
  }
  if (EveryRepetitionDisturbed(cell)) {
    return "a price that was not measured (each of its repetitions was disturbed by hand)";
  }
  const auto blocked = Number(cell, "blocked_ms.max");
  const auto in_doubt = Number(cell, "in_doubt_ms.max");
  const auto lag = Number(cell, "lag_ms.max");
  const double waiting = std::max(blocked.value_or(0), in_doubt.value_or(0));
  if (waiting >= kNoticeableMs && waiting >= lag.value_or(0)) {
    if (!blocked)
      return "up to " + DurationAndInterval(cell, "in_doubt_ms.max") +
             " in doubt (blocking not measured)";
    return fmt::format("writers blocked for up to {}",
                       DurationAndInterval(cell, "blocked_ms.max")) +
           (in_doubt ? " while transactions were in doubt for up to " + DurationText(*in_doubt)
                     : std::string());
  }
  if (lag.value_or(0) >= kNoticeableMs) {
    return "data stale for up to " + DurationAndInterval(cell, "lag_ms.max");
  }
  if (!permanent) return "a price that was not measured (the stores were not compared)";
  return "nothing beyond its response time (p99 " +
         DurationText(CellFigure(cell, "response_ms.p99")) + ")";
}

/// What was turned away or left out is a price too: its response time is in no percentile.
std::string Refused(const json& cell) {
  const auto attempted = Number(cell, "attempted");
  const double refused =
      Number(cell, "failed").value_or(0) + Number(cell, "dropped").value_or(0);
  if (attempted.value_or(0) == 0 || refused < kNoticeableShare * *attempted) return "";
  return fmt::format(", and {:.0f} percent of its operations refused",
                     100 * refused / *attempted);
}

std::vector<std::string> EveryPrice(const json& cells) {
  std::vector<std::string> prices;
  for (const json& cell : cells) {
    prices.push_back(fmt::format("{} paid {}{}", cell.at("name").get<std::string>(),
                                 Price(cell), Refused(cell)));
  }
  return prices;
}

/// To find the cell of a path that paid most: keys lost for good weigh more than any wait.
std::pair<double, double> Weight(const json& cell) {
  const double lost = Number(cell, "inconsistent.permanent").value_or(0) +
                      Number(cell, "lost_acknowledged").value_or(0);
  double waited = 0;
  for (const char* figure : {"blocked_ms.max", "in_doubt_ms.max", "lag_ms.max"}) {
    waited = std::max(waited, Number(cell, figure).value_or(0));
  }
  return {lost, waited};
}

/// Of each path the cell that paid most: a matrix of many has too many to be read.
std::vector<std::string> HighestPrices(const json& cells) {
  std::vector<std::pair<std::string, std::vector<const json*>>> by_path;
  for (const json& cell : cells) {
    const auto path = cell.at("path").get<std::string>();
    const auto known = std::find_if(by_path.begin(), by_path.end(),
                                    [&](const auto& entry) { return entry.first == path; });
    if (known == by_path.end()) {
      by_path.push_back({path, {&cell}});
    } else {
      known->second.push_back(&cell);
    }
  }
  std::vector<std::string> prices;
  for (const auto& [path, all] : by_path) {
    const json& highest = **std::max_element(
        all.begin(), all.end(),
        [](const json* a, const json* b) { return Weight(*a) < Weight(*b); });
    prices.push_back(fmt::format("{} paid {}{} (the highest price of its {} cells, at {})",
                                 path, Price(highest), Refused(highest), all.size(),
                                 highest.at("name").get<std::string>()));
  }
  return prices;
}

std::string Details(const json& cell) {
  const bool prepares = HasTwoPhaseCommit(cell.at("path").get<std::string>());
  return fmt::format(
      "{}: attempted {}, committed {}, failed {}, unknown {}; response p50 {}, p99 {}; longest "
      "in doubt: {}; longest "
      "wait of an outside writer: {}; longest lag: {}; keys inconsistent for a while: {}, for "
      "good: {}.",
      cell.at("name").get<std::string>(), Number(CellFigure(cell, "attempted")),
      Number(CellFigure(cell, "committed")), Number(CellFigure(cell, "failed")),
      Number(CellFigure(cell, "unknown")), DurationText(cell, "response_ms.p50"),
      DurationText(cell, "response_ms.p99"),
      prepares ? DurationText(cell, "in_doubt_ms.max") : "nothing is prepared here",
      DurationText(cell, "blocked_ms.max"), DurationText(cell, "lag_ms.max"),
      Number(CellFigure(cell, "inconsistent.transient")),
      Number(CellFigure(cell, "inconsistent.permanent")));
}

std::string Closing(const json& summary, const RunJudgement& judgement) {
  size_t passed = 0;
  for (const json& expect : summary.at("expect")) passed += expect.at("verdict") == "pass";
  std::string expectations =
      fmt::format("{} of {} expectations hold", passed, summary.at("expect").size());
  switch (judgement.verdict) {
    case RunVerdict::kPass:
      return "Result: " + expectations + ".";
    case RunVerdict::kExpectationFailed:
      return fmt::format("Result: an expectation failed ({}): {}.", expectations,
                         fmt::join(judgement.reasons, "; "));
    case RunVerdict::kCorrectnessViolated:
      return fmt::format("CORRECTNESS VIOLATED: {}.", fmt::join(judgement.reasons, "; "));
    case RunVerdict::kInconclusive:
      return fmt::format("INCONCLUSIVE ({}): {}.", expectations,
                         fmt::join(judgement.reasons, "; "));
  }
  return expectations;
}

}  // namespace

std::string DurationText(const json& milliseconds) {
  if (!milliseconds.is_number()) return "not measured";
  const double value = milliseconds.get<double>();
  if (value >= 1000) return fmt::format("{:.1f} s", value / 1000);
  if (value >= 100) return fmt::format("{:.0f} ms", value);
  return fmt::format("{:.{}f} ms", value, value >= 10 ? 1 : 2);
}

std::string DurationText(const json& cell, const std::string& figure) {
  const json value = CellFigure(cell, figure);
  const json looked = CellFigure(cell, figure.substr(0, figure.rfind('.')) + ".n");
  return value.is_null() && looked == 0 ? "none seen" : DurationText(value);
}

std::string CountText(double count, const std::string& singular, const std::string& plural) {
  return fmt::format("{:.0f} {}", count, count == 1 ? singular : plural);
}

std::string VerdictText(const json& summary) {
  std::vector<std::string> lines;
  if (const auto reason = VoidReason(summary.at("env")))
    lines.push_back("VOID: " + *reason + ".");
  const bool every_cell = summary.at("cells").size() <= kMostInWords;
  const std::vector<std::string> prices =
      every_cell ? EveryPrice(summary.at("cells")) : HighestPrices(summary.at("cells"));
  lines.push_back(prices.empty() ? "Nothing was measured."
                                 : fmt::format("{}.", fmt::join(prices, "; ")));
  for (const json& cell : summary.at("cells")) {
    if (every_cell) lines.push_back(Details(cell));
  }
  lines.push_back(Closing(summary, Judge(summary)));
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace indoubt
