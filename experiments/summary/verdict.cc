#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/price.h"
#include "experiments/summary/warnings.h"

namespace indoubt {
namespace {

using nlohmann::json;

// More cells than these are summed up by path.
constexpr size_t kMostInWords = 6;

std::optional<double> Number(const json& cell, const std::string& figure) {
  return FigureOver(cell, figure).value;
}

std::string Number(const json& value) {
  return value.is_number() ? fmt::format("{:.0f}", value.get<double>()) : "not measured";
}

std::vector<std::string> EveryPrice(const json& cells) {
  std::vector<std::string> prices;
  for (const json& cell : cells) {
    prices.push_back(cell.at("name").get<std::string>() + " " + PriceText(cell));
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
    prices.push_back(fmt::format("{} {} (the highest price of its {} cells, at {})", path,
                                 PriceText(highest), all.size(),
                                 highest.at("name").get<std::string>()));
  }
  return prices;
}

/// What lay prepared and undecided: of the path's own, or what the fault left there.
std::string LongestInDoubt(const json& cell) {
  if (HasTwoPhaseCommit(cell.at("path").get<std::string>())) {
    return DurationText(cell, "in_doubt_ms.max");
  }
  double longest = -1;
  for (const json& rep : cell.at("reps")) {
    for (const json& fault : rep.at("faults")) {
      const json &from = fault.at("observed_at"), &to = fault.at("healed_at");
      if (fault.at("kind") != "in-doubt" || !from.is_number() || !to.is_number()) continue;
      longest = std::max(longest, to.get<double>() - from.get<double>());
    }
  }
  if (longest < 0) return "the path prepares nothing";
  return fmt::format("the path prepares nothing; another program's transaction was for {}",
                     DurationText(longest));
}

std::string Details(const json& cell) {
  return fmt::format(
      "{}: attempted {}, committed {}, failed {}, unknown {}; response p50 {}, p99 {}; longest "
      "in doubt: {}; longest "
      "wait of an outside writer: {}; longest lag: {}; keys inconsistent for a while: {}, for "
      "good: {}{}.",
      cell.at("name").get<std::string>(), Number(CellFigure(cell, "attempted")),
      Number(CellFigure(cell, "committed")), Number(CellFigure(cell, "failed")),
      Number(CellFigure(cell, "unknown")), DurationText(cell, "response_ms.p50"),
      DurationText(cell, "response_ms.p99"), LongestInDoubt(cell),
      DurationText(cell, "blocked_ms.max"), DurationText(cell, "lag_ms.max"),
      Number(CellFigure(cell, "inconsistent.transient")),
      Number(CellFigure(cell, "inconsistent.permanent")), FiguresOfItsOwn(cell));
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

std::vector<std::string> PriceSentences(const json& summary) {
  const json& cells = summary.at("cells");
  return cells.size() <= kMostInWords ? EveryPrice(cells) : HighestPrices(cells);
}

std::string VerdictText(const json& summary) {
  std::vector<std::string> lines;
  if (const auto reason = VoidReason(summary.at("env")))
    lines.push_back("VOID: " + *reason + ".");
  const std::vector<std::string> prices = PriceSentences(summary);
  lines.push_back(prices.empty() ? "Nothing was measured."
                                 : fmt::format("{}.", fmt::join(prices, "; ")));
  for (const json& cell : summary.at("cells")) {
    if (summary.at("cells").size() <= kMostInWords) lines.push_back(Details(cell));
  }
  lines.push_back(Closing(summary, Judge(summary)));
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace indoubt
