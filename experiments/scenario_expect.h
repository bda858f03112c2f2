// Reads a scenario's [[expect]] tables and holds them against its matrix.
#pragma once

#include <string>
#include <vector>

#include "experiments/scenario.h"
#include "experiments/scenario_reader.h"

namespace indoubt {

/// Reads them into `scenario`, whose matrix is read already. What cannot be parsed, a
/// figure that does not exist and a cell that neither the matrix nor `written_cells`
/// have are errors. `written_cells`: the matrix as the file has it, before overrides;
/// an expectation whose cells were in there is left out with a warning, as somebody
/// asked for fewer cells and not for another question. Returns the indexes of those.
std::vector<size_t> ReadExpectations(ScenarioTable& document,
                                     const std::vector<std::string>& written_cells,
                                     Scenario& scenario);

}  // namespace indoubt
