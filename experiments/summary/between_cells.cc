#include "experiments/summary/between_cells.h"

#include <array>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

// The first three are the speed figures.
constexpr std::array<BetweenFigure, 5> kFigures{{{"throughput_per_s", true},
                                                 {"response_ms.p50", false},
                                                 {"response_ms.p99", false},
                                                 {"blocked_ms.max", false},
                                                 {"lag_ms.max", false}}};

}  // namespace

std::span<const BetweenFigure> SpeedFigures() { return std::span(kFigures).first(3); }
std::span<const BetweenFigure> PriceFigures() { return kFigures; }

std::vector<double> FigureByRepetition(const json& cell, const std::string& figure) {
  const json::json_pointer pointer = FigurePointer(figure);
  std::vector<double> values;
  if (!WhyNotJudged(cell).empty()) return values;
  for (const json& rep : cell.at("reps")) {
    const json value = rep.value(pointer, json());
    if (CountsOverRepetitions(rep.at("status")) && value.is_number()) {
      values.push_back(value.get<double>());
    }
  }
  return values;
}

std::optional<CellDifference> DifferenceBetween(const json& first, const json& second,
                                                const std::string& figure) {
  const std::vector<double> left = FigureByRepetition(first, figure);
  const std::vector<double> right = FigureByRepetition(second, figure);
  const auto difference = Difference(left, right, kCellLevel);
  if (!difference) return std::nullopt;
  return CellDifference{*difference, Ratio(left, right, kCellLevel), Median(left)->median,
                        Median(right)->median};
}

}  // namespace indoubt
