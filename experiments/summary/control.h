// The control (A/A): a path that the matrix names twice runs as two cells between which there
// is nothing, or what [matrix.again] planted. What is found there says how far a run's other
// differences can be believed.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// One entry for every cell of a path's second naming and every speed figure, in the form of
/// docs/run-format.md; empty without such a cell. `cells` as in summary.json.
nlohmann::json CompareControls(const nlohmann::json& cells);

/// The same for a person, a sentence a pair of cells: "no difference", with how large a one
/// could hide, or the difference.
std::vector<std::string> ControlSentences(const nlohmann::json& summary);

/// A warning for each figure in which the same twice differs: chance does that in one of a
/// hundred.
std::vector<std::string> ControlWarnings(const nlohmann::json& control);

}  // namespace indoubt
