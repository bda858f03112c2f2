// What makes a run's figures doubtful, in words for its reader.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/summary/records.h"

namespace indoubt {

/// Why nothing measured here says anything (storage that does not sync), if so.
/// `env` is env.json or summary.env.
std::optional<std::string> VoidReason(const nlohmann::json& env);

/// Whether the load generator left out more than 1 percent of a repetition's
/// operations. `rep` is a repetition of the summary.
bool LoadFellBehind(const nlohmann::json& rep);

/// Of the run as a whole: those in run.json, and of its machine.
std::vector<std::string> RunWarnings(const RunRecords& run);

/// Of one repetition; `label` names it ("2pc repetition 1").
std::vector<std::string> RepWarnings(const std::string& label, const nlohmann::json& rep,
                                     const RepRecords& records);

}  // namespace indoubt
