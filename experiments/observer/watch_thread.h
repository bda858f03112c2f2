// A thread of the observer: does its step until it is told to stop, and remembers
// what went wrong, so that a blind observer is noticed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt {

/// Start and Stop from one thread.
class WatchThread {
 public:
  /// `step` is called again and again with `pause` in between; its errors are
  /// counted and the first is kept.
  WatchThread(std::string name, Duration pause, std::function<Status()> step);
  ~WatchThread() { Stop(); }

  void Start();
  /// Waits for the step under way.
  void Stop();
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  /// Waits for `duration` or for Stop(), whichever comes first.
  void Pause(Duration duration);
  /// "name: 3 errors, the first: ..."; none when all went well.
  std::optional<std::string> Trouble() const;

 private:
  const std::string name_;
  const Duration pause_;
  const std::function<Status()> step_;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  int64_t errors_ = 0;  // guarded by mutex_
  Status first_;        // guarded by mutex_
  std::thread thread_;
};

/// Those of `threads` that have any.
std::vector<std::string> TroublesOf(std::initializer_list<const WatchThread*> threads);

}  // namespace indoubt
