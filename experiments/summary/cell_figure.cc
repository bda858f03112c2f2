#include "experiments/summary/cell_figure.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/summary/figure_names.h"

namespace indoubt {
namespace {

using nlohmann::json;

CellValue Worst(const json& cell, const std::string& figure) {
  const json::json_pointer pointer = FigurePointer(figure);
  std::optional<double> worst;
  for (const json& rep : cell.at("reps")) {
    const json value = rep.value(pointer, json());
    if (!value.is_number()) {
      return {std::nullopt,
              fmt::format("is missing in repetition {}", rep.at("n").get<int64_t>())};
    }
    worst = std::max(worst.value_or(value.get<double>()), value.get<double>());
  }
  return {worst, worst ? "" : "has no repetition that was run"};
}

}  // namespace

CellValue FigureOver(const json& cell, const std::string& figure) {
  if (IsCorrectnessFigure(figure)) return Worst(cell, figure);
  const json& stats = cell.at("stats");
  if (!stats.contains(figure)) return {std::nullopt, "was not measured"};
  return {stats.at(figure).at("median").get<double>(), ""};
}

std::string WhyNotJudged(const json& cell) {
  for (const json& rep : cell.at("reps")) {
    const json why = rep.value("not_applicable", json());
    if (why.is_string()) {
      return "n/a: the fault does not apply: " + why.get<std::string>();
    }
    if (rep.value("attempted", json()) == 0) {
      return fmt::format("not measured: no operation was due in repetition {}",
                         rep.at("n").get<int64_t>());
    }
  }
  return "";
}

json CellFigure(const json& cell, const std::string& figure) {
  const CellValue found = FigureOver(cell, figure);
  return found.value ? json(*found.value) : json();
}

}  // namespace indoubt
