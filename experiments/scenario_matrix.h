// [matrix] of a scenario: what is combined with what, and the cells that come of it
// (CellsOf, in scenario.h).
#pragma once

#include <cstdint>

#include "experiments/scenario.h"
#include "experiments/scenario_reader.h"

namespace indoubt {

inline constexpr int64_t kMostClients = 1024;

/// Reads it into `scenario`; what is wrong is added to the table's errors.
void ReadMatrix(ScenarioTable matrix, Scenario& scenario);

}  // namespace indoubt
