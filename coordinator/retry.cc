#include "coordinator/retry.h"

#include <algorithm>

namespace indoubt {

Duration Backoff::Delay(int attempt) {
  const int doublings = std::clamp(attempt - 1, 0, 20);  // 2^20 is far above the longest
  const Duration full = std::min(kFirst * (int64_t{1} << doublings), kLongest);
  std::lock_guard lock(mutex_);
  std::uniform_int_distribution<int64_t> shorten(0, full.count() / 2);
  return full - Duration(shorten(random_));
}

Timer::Timer() : thread_([this] { Run(); }) {}

Timer::~Timer() { Stop(); }

Timer::Id Timer::ScheduleAt(TimePoint when, std::function<void()> work) {
  std::unique_lock lock(mutex_);
  const Id id{when, next_++};
  if (stopped_) return id;
  const auto place = waiting_.emplace(id, std::move(work)).first;
  const bool earliest = place == waiting_.begin();
  lock.unlock();
  if (earliest) changed_.notify_one();
  return id;
}

bool Timer::Cancel(const Id& id) {
  std::function<void()> dropped;  // destroyed after the lock: it may own much
  std::lock_guard lock(mutex_);
  const auto place = waiting_.find(id);
  if (place == waiting_.end()) return false;
  dropped = std::move(place->second);
  waiting_.erase(place);
  return true;
}

void Timer::Stop() {
  std::map<Id, std::function<void()>> dropped;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    dropped.swap(waiting_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Timer::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (waiting_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = waiting_.begin();
    const TimePoint when = first->first.first;
    if (SystemClock().Now() < when) {
      changed_.wait_until(lock, when);
      continue;
    }
    std::function<void()> work = std::move(first->second);
    waiting_.erase(first);
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace indoubt
