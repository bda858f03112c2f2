// The bound for a coordinator: the same adapters, all prepares at once and then
// all commits at once, in this process, with no state machine and no log. It
// keeps no promise: whatever dies in between stays in doubt for good.
#pragma once

#include <memory>
#include <vector>

#include "coordinator/executor.h"

namespace indoubt {

/// One participant gets a one-phase commit. `participants` must have passed their
/// preflight. Its destructor waits for transactions under way. Thread-safe.
std::unique_ptr<TransactionExecutor> MakeRawExecutor(
    std::vector<std::unique_ptr<Participant>> participants);

}  // namespace indoubt
