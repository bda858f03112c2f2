// Clients of a coordinator, each closed-loop: the next transaction begins when an
// earlier one has been answered.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "coordinator/executor.h"

namespace indoubt::bench {

using MakeRequest = TransactionRequest (*)();

/// One transaction after another on this thread. Times from the call to the answer.
std::vector<Duration> RunOneByOne(TransactionExecutor& executor, MakeRequest make,
                                  uint64_t transactions);

/// Who begins the next transaction when one is answered.
enum class Resubmit {
  kCallback,  // the answer's own callback, on whatever thread it runs
  kThread,    // one client thread, which sleeps while enough are in flight
};
/// `in_flight` at a time through the callback interface. `on_answer`, when given, is
/// told within each callback about how many have been answered; it must be quick.
/// Returns how many were not committed.
uint64_t RunInFlight(TransactionExecutor& executor, MakeRequest make, uint64_t transactions,
                     int in_flight, Resubmit resubmit,
                     const std::function<void(uint64_t)>& on_answer = {});

/// `threads` threads, each asleep until its transaction is answered. Returns how many
/// were not committed.
uint64_t RunBlocking(TransactionExecutor& executor, MakeRequest make, uint64_t transactions,
                     int threads);

}  // namespace indoubt::bench
