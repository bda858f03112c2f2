// A figure over all repetitions of a cell: what an expectation, the verdict and the
// report mean by "the" figure of a path.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace indoubt {

struct CellValue {
  std::optional<double> value;
  std::string missing;  // why there is no value, e.g. "is missing in repetition 2"
};

/// The median over the repetitions that have `figure`. Of a figure of correctness the
/// worst, and no value when any repetition lacks it: that one may be the worst.
CellValue FigureOver(const nlohmann::json& cell, const std::string& figure);

/// Why no figure of `cell` may pass an expectation or be praised, as what the cell is: "n/a:
/// the fault does not apply: ...", "not measured: no operation was due in repetition 1". Empty
/// when its figures are of what was asked.
std::string WhyNotJudged(const nlohmann::json& cell);

/// The same as a JSON number, or null.
nlohmann::json CellFigure(const nlohmann::json& cell, const std::string& figure);

}  // namespace indoubt
