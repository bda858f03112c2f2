// A fault in two words.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace indoubt {

/// "coordinator down", "stock cut off", "coordinator down by hand"; `fault` is one of rep.json
/// or of the summary.
std::string FaultLabel(const nlohmann::json& fault);

}  // namespace indoubt
