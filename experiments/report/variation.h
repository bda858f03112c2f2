// What varies over a run's matrix, and where the paths died.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/report/content.h"

namespace indoubt {

/// A parameter of the matrix that has two values or more, all of them numbers or durations.
struct VariedParameter {
  std::string key;   // "workload.zipf", "fault.down", "load.clients"
  std::string unit;  // "s" for durations; empty
};
std::vector<VariedParameter> VariedParameters(const nlohmann::json& summary);

/// A figure at one value of the parameter.
struct VariedMark {
  double x = 0;
  double y = 0;                     // in the figure's own unit
  std::optional<double> low, high;  // of the 95 percent interval, from six repetitions on
};
/// By path (and whatever else varies), from the smallest value of the parameter to the
/// largest. A cell without the figure has no mark.
using VariedSeries = std::map<std::string, std::vector<VariedMark>>;
VariedSeries SeriesOf(const nlohmann::json& summary, const std::string& key,
                      const std::string& figure);

/// One row a cell: what it paid at its value of the parameter.
Table VariationTable(const nlohmann::json& summary, const VariedParameter& parameter);

/// Step by step: where each path died, how long others waited and what was left of it. Empty
/// unless the matrix varies a fail point.
Table CrashPointTable(const nlohmann::json& summary);

}  // namespace indoubt
