// Whether two environments (env.json) are the same place to measure in: what a comparison
// of two runs and the resumption of one both ask.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// One line each, "env.cores is 2 and 64".
struct EnvironmentDifferences {
  std::vector<std::string> durability;  // of each store
  std::vector<std::string> machine;     // build, processor, file system
  std::vector<std::string> versions;    // of each store
  std::vector<std::string> doubtful;    // what may matter: kernel, memory, a slower disk
};

/// `one` and `other` are called by these names where an order matters ("the base").
EnvironmentDifferences CompareEnvironments(const nlohmann::json& one,
                                           const std::string& one_name,
                                           const nlohmann::json& other,
                                           const std::string& other_name);

/// Adds "name is a and b" to `found` where the documents differ at `pointer`.
void AddDifference(const nlohmann::json& one, const nlohmann::json& other,
                   const std::string& pointer, const std::string& name,
                   std::vector<std::string>& found);

}  // namespace indoubt
