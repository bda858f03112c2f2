// Two cells of one run held against each other: which figures, over which repetitions, with
// which interval. What the control and the flips are made of.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/summary/two_samples.h"

namespace indoubt {

/// Of an interval between two cells; with it, what two of them say together holds at 98
/// percent (Bonferroni).
inline constexpr double kCellLevel = 0.99;

struct BetweenFigure {
  const char* name;
  bool higher_is_better;
};
/// What is asked of two cells that differ in nothing: how fast they are.
std::span<const BetweenFigure> SpeedFigures();
/// What is asked of two paths: how fast they are, how long others wait, how stale data gets.
std::span<const BetweenFigure> PriceFigures();

/// A figure of every repetition of `cell` that has it and was not cut short; none of a cell
/// that is not judged (WhyNotJudged).
std::vector<double> FigureByRepetition(const nlohmann::json& cell, const std::string& figure);

struct CellDifference {
  Shift difference;              // second - first, at kCellLevel
  std::optional<Shift> ratio;    // second / first
  double first = 0, second = 0;  // medians
};
/// None when either cell has no repetition with the figure.
std::optional<CellDifference> DifferenceBetween(const nlohmann::json& first,
                                                const nlohmann::json& second,
                                                const std::string& figure);

}  // namespace indoubt
