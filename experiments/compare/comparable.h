// Whether two runs asked the same question in the same place, so that what differs
// between their figures is the candidate's doing.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// Ok when the runs in the two folders, with these summaries, may be compared.
/// kInvalidArgument names every difference that forbids it: another scenario, load,
/// workload or fault, other durability, another build or machine. What may matter
/// (versions, kernel, seed, a disk twice as slow) is added to `warnings`.
Status CheckComparable(const std::string& base_folder, const nlohmann::json& base,
                       const std::string& candidate_folder, const nlohmann::json& candidate,
                       std::vector<std::string>& warnings);

}  // namespace indoubt
