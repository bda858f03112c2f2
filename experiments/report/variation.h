// What varies over a run's matrix, and where the paths died.
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

/// One row a cell: what it paid at its value of the parameter.
Table VariationTable(const nlohmann::json& summary, const VariedParameter& parameter);

/// Step by step: where each path died, how long others waited and what was left of it. Empty
/// unless the matrix varies a fail point.
Table CrashPointTable(const nlohmann::json& summary);

}  // namespace indoubt
