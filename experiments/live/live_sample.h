// What the live page is told several times a second: what the run says of itself, as JSON.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "experiments/progress_rate.h"
#include "experiments/run.h"

namespace indoubt {

/// Seconds and bytes carry their unit in the name; what is not known is null. `seq` grows.
///
///   {"seq": 7, "elapsed_s": 12.4, "cell": "2pc", "path": "2pc", "rep": 1, "reps": 3,
///    "done": 2, "total": 18, "phase": "measure", "since_s": 3.2, "left_s": 16.8,
///    "committed": 1200, "committed_per_s": 98.0, "errors_per_s": 0.0,
///    "in_flight": 3, "in_doubt": 2, "oldest_s": 3.1, "waiters": 4, "lag_s": {"stock": 0.1,
///    "ledger": 0.0}, "lag_bytes": null, "fault": "coordinator killed", "process": {"name":
///    "coordinator", "kill": "it is dead already", "restart": null}}
///
/// `process` says why something cannot be done, or null: it can; it is null while nothing can.
nlohmann::json LiveSample(int64_t seq, const RunProgress& progress,
                          const ProgressRate::Rates& rates);

}  // namespace indoubt
