// summary.json: every figure of a run, from its raw records and nothing else, so
// that it can be built again at any time (and is, by scripts/verify, independently).
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// The summary of the run in `run_folder` as docs/run-format.md describes and
/// docs/summary.schema.json defines it. Works on an interrupted run too: figures
/// that it did not come to are null. kNotFound, kCorrupt (names file and line).
Result<nlohmann::json> Summarise(const std::string& run_folder);

}  // namespace indoubt
