// What varies over a run's matrix, as curves and as a table of where the paths died.
#pragma once

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

/// A figure of every path over the parameter's values, a panel a figure; with the interval
/// where six repetitions gave one. A figure that no cell has gets no panel.
std::string VariationSvg(const nlohmann::json& summary, const VariedParameter& parameter);
/// The same as numbers.
Table VariationTable(const nlohmann::json& summary, const VariedParameter& parameter);

/// Step by step: where each path died, how long others waited and what was left of it. Empty
/// unless the matrix varies a fail point.
Table CrashPointTable(const nlohmann::json& summary);

}  // namespace indoubt
