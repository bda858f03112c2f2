// The figures of what is special to a derived path: the WAL that its slot held, and what
// readers saw with and without tokens and cuts.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "experiments/summary/records.h"

namespace indoubt {

/// Adds them to `figures`, as docs/run-format.md says; those without a record are left as they
/// are. Times are nanoseconds of the run's monotonic clock.
void AddDerivedFigures(const RepRecords& records, int64_t measure_from, int64_t drained,
                       nlohmann::json& figures);

}  // namespace indoubt
