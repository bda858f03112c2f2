// When things are asked again: bounded exponential back-off with jitter, and the
// one thread on which everything that waits for a time waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "coordinator/runtime.h"

namespace indoubt {

/// Delays of 10 ms doubling up to 1 s, each shortened by up to a half at random so
/// that many transactions do not ask a recovering store all at once. Thread-safe.
class Backoff {
 public:
  static constexpr Duration kFirst = std::chrono::milliseconds(10);
  static constexpr Duration kLongest = std::chrono::seconds(1);

  explicit Backoff(uint64_t seed) : random_(seed) {}
  /// The wait before attempt `attempt`, which counts from 1.
  Duration Delay(int attempt);

 private:
  std::mutex mutex_;
  std::mt19937_64 random_;  // guarded by mutex_
};

/// Runs functions at their times on one thread of its own. They should be short.
/// Thread-safe. What is scheduled is bounded by the coordinator's bound on live
/// transactions.
class Timer {
 public:
  using Id = Runtime::TimerId;

  Timer();
  ~Timer();

  /// Runs `work` at `when` or soon after. Once stopped, it is dropped.
  Id ScheduleAt(TimePoint when, std::function<void()> work);
  /// Whether it was still waiting; if so it will not run.
  bool Cancel(const Id& id);
  /// Drops what waits and returns once nothing runs any more.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Id, std::function<void()>> waiting_;  // guarded by mutex_
  uint64_t next_ = 1;                            // guarded by mutex_
  bool stopped_ = false;                         // guarded by mutex_
  std::thread thread_;                           // last: it uses the others
};

}  // namespace indoubt
