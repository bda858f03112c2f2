// The figures of one repetition, from its raw records.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/summary/records.h"

namespace indoubt {

/// Whether transactions are prepared on this path, so that they can be in doubt.
bool HasTwoPhaseCommit(const std::string& path);

/// Whether a repetition with this `status` counts in what is taken over repetitions: not one
/// that was cut off, being shorter, nor one that was disturbed by hand, being another
/// experiment.
bool CountsOverRepetitions(const nlohmann::json& status);

/// The figures that docs/run-format.md lists for summary.json's repetitions; null
/// where there is no record to take one from. kCorrupt: rep.json is not as it should be.
Result<nlohmann::json> RepFigures(const std::string& path, const RepRecords& records);

/// Every number among `figures` with its dotted path ("response_ms.p99"), in order.
std::vector<std::pair<std::string, double>> FlatFigures(const nlohmann::json& figures);

}  // namespace indoubt
