// Virtual time: what happens next, and when. Nothing here waits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"

namespace indoubt::simulation {

/// Events in the order of their times, and of their scheduling within one time.
class EventQueue final : public Clock {
 public:
  using Id = std::pair<TimePoint, uint64_t>;

  TimePoint Now() const override { return now_; }
  int64_t WallSeconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(now_.time_since_epoch()).count() +
           wall_offset_s_;
  }
  /// The wall clock jumps; monotonic time does not.
  void JumpWallClock(int64_t seconds) { wall_offset_s_ += seconds; }

  Id ScheduleAt(TimePoint when, std::function<void()> work) {
    const Id id{std::max(when, now_), next_++};
    waiting_.emplace(id, std::move(work));
    return id;
  }
  Id ScheduleIn(Duration delay, std::function<void()> work) {
    return ScheduleAt(now_ + delay, std::move(work));
  }
  bool Cancel(const Id& id) {
    const auto place = waiting_.find(id);
    if (place == waiting_.end()) return false;
    const std::function<void()> dropped = std::move(place->second);  // it may own much
    waiting_.erase(place);
    return true;
  }
  /// Runs the next event that is due by `limit`; false, and it is `limit`, without one.
  bool RunNext(TimePoint limit) {
    if (waiting_.empty() || waiting_.begin()->first.first > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    const auto first = waiting_.begin();
    now_ = first->first.first;
    const std::function<void()> work = std::move(first->second);
    waiting_.erase(first);
    work();
    if (after_each_) after_each_();
    return true;
  }
  /// Has `check` run after every event.
  void AfterEach(std::function<void()> check) { after_each_ = std::move(check); }

 private:
  TimePoint now_{std::chrono::hours(1000)};
  int64_t wall_offset_s_ = 1'700'000'000;
  uint64_t next_ = 1;
  std::map<Id, std::function<void()>> waiting_;
  std::function<void()> after_each_;
};

}  // namespace indoubt::simulation
