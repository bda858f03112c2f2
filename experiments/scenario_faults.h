// Reads a scenario's [[fault]].
#pragma once

#include "experiments/scenario.h"
#include "experiments/scenario_reader.h"

namespace indoubt {

/// Reads them into `scenario`, whose matrix and load are read already; what is wrong is added
/// to the document's errors.
void ReadFaults(ScenarioTable& document, Scenario& scenario);

}  // namespace indoubt
