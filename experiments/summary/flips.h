// "This flips if ...": where one path overtakes another while a parameter of the matrix
// grows, as measured between neighbouring values.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// {"over": [...], "found": [...]} in the form of docs/run-format.md. `over` names the
/// parameters with two numbers (or durations) or more on at least two paths: what was looked
/// at. A flip is found between two values at which the paths differ in opposite directions,
/// each time beyond a 99 percent interval; where the repetitions are too few for one, by more
/// than 10 percent, and then without an interval. `cells` as in summary.json.
nlohmann::json FindFlips(const nlohmann::json& cells);

/// The same for a person: a sentence a flip, or the one that begins with "not observed".
std::vector<std::string> FlipSentences(const nlohmann::json& summary);

}  // namespace indoubt
