// Where a coordinator gets its time, its waits and its threads from. A seam: in
// production it is the machine (thread_runtime.cc); a simulator runs the same
// coordinator on one thread, in virtual time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace indoubt {

/// Thread-safe.
class Runtime {
 public:
  using TimerId = std::pair<TimePoint, uint64_t>;

  virtual ~Runtime() = default;

  virtual TimePoint Now() const = 0;

  /// Runs `work`, which should be short, at `when` or soon after, one after another.
  /// Dropped once the timer is stopped.
  virtual TimerId ScheduleAt(TimePoint when, std::function<void()> work) = 0;
  /// Whether it was still waiting; if so it will not run.
  virtual bool Cancel(const TimerId& id) = 0;
  /// Drops what is scheduled and returns once nothing of it runs any more.
  virtual void StopTimer() = 0;

  /// Blocks until `done()` is true, or `deadline`; says which. `done` is asked before
  /// the wait, after every Notify() and at the end, under no lock of the runtime's.
  virtual bool WaitUntil(TimePoint deadline, const std::function<bool()>& done) = 0;
  /// Something changed that somebody may wait for. Cheap while nobody does.
  virtual void Notify() = 0;

  /// Runs `work(i)` for each of the positions, all at once as far as it can; returns
  /// when all have. For calls that block on a store, so that one that is down costs
  /// its own deadline only once.
  virtual void RunAll(const std::vector<size_t>& positions,
                      const std::function<void(size_t)>& work) = 0;

  /// Runs `step`, which may block, now and then: at the time that it returned last,
  /// and soon after each WakeMaintenance(). Call once.
  virtual void StartMaintenance(std::function<TimePoint()> step) = 0;
  virtual void WakeMaintenance() = 0;
  /// Returns once no step runs any more; none will.
  virtual void StopMaintenance() = 0;

  /// For what is random in the coordinator (the jitter of a back-off).
  virtual uint64_t Seed() = 0;
};

/// The machine's clock and threads.
std::unique_ptr<Runtime> NewThreadRuntime();

}  // namespace indoubt
