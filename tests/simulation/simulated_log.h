// The file log without a thread: the world's events flush it.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "recovery/log_core.h"
#include "tests/simulation/process.h"

namespace indoubt::simulation {

class SimulatedLog final : public LogCore {
 public:
  /// `flush_delay` says when a group is written; zero: by the caller, at once.
  SimulatedLog(FileSystem& files, OpenedFolder folder, const FileLogOptions& options,
               Process& process, std::function<Duration()> flush_delay)
      : LogCore(files, std::move(folder), options),
        process_(process),
        flush_delay_(std::move(flush_delay)) {}

  /// As the one with a thread: what waits is written before the end.
  ~SimulatedLog() override {
    closing_ = true;
    if (planned_) process_.events().Cancel(*planned_);
    Lock lock(mutex_);
    while (HasWork()) Flush(lock);
  }

 private:
  /// How long end records wait for a commit to ride along with.
  static constexpr Duration kLazyEnds = std::chrono::milliseconds(50);

  void BeforeQueueing(Lock&) override {}
  void OnQueued(Lock& lock) override {
    const Duration delay = flush_delay_();
    if (delay > Duration{}) return Plan(delay);
    if (!flushing_) Flush(lock);
  }
  void OnEndWaits() override {
    if (!planned_) Plan(kLazyEnds);
  }
  void OnFlushed(size_t, TimePoint, TimePoint) override {
    if (HasWork()) Plan(queue_.empty() ? kLazyEnds : flush_delay_());
  }

  void Plan(Duration delay) {
    if (closing_ || (planned_ && planned_->first <= Now() + delay)) return;
    if (planned_) process_.events().Cancel(*planned_);
    planned_ = process_.events().ScheduleIn(delay, [this] {
      planned_.reset();
      Lock lock(mutex_);
      if (HasWork() && !flushing_ && process_.alive()) Flush(lock);
    });
  }

  Process& process_;
  const std::function<Duration()> flush_delay_;
  std::optional<EventQueue::Id> planned_;
  bool closing_ = false;
};

}  // namespace indoubt::simulation
