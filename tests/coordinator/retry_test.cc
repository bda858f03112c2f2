#include "coordinator/retry.h"

#include <future>

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(BackoffTest, DoublesWithinItsBoundsAndNeverOverflows) {
  Backoff backoff(42);
  Duration full = Backoff::kFirst;
  for (int attempt = 1; attempt < 200; ++attempt) {
    const Duration delay = backoff.Delay(attempt);
    EXPECT_LE(delay, full) << attempt;
    EXPECT_GE(delay, full / 2) << attempt;
    full = std::min(full * 2, Backoff::kLongest);
  }
  EXPECT_GE(backoff.Delay(1 << 30), Backoff::kLongest / 2);
}

TEST(TimerTest, RunsInTheOrderOfTheTimesAndNotTheCalls) {
  Timer timer;
  const TimePoint now = SystemClock().Now();
  std::promise<std::vector<int>> finished;
  std::vector<int> order;
  timer.ScheduleAt(now + std::chrono::milliseconds(30), [&] {
    order.push_back(3);
    finished.set_value(order);
  });
  timer.ScheduleAt(now + std::chrono::milliseconds(10), [&] { order.push_back(1); });
  timer.ScheduleAt(now + std::chrono::milliseconds(20), [&] { order.push_back(2); });
  EXPECT_EQ(finished.get_future().get(), (std::vector<int>{1, 2, 3}));
}

TEST(TimerTest, CancelledWorkDoesNotRunAndCannotBeCancelledTwice) {
  Timer timer;
  bool ran = false;
  const Timer::Id id =
      timer.ScheduleAt(SystemClock().Now() + std::chrono::hours(1), [&] { ran = true; });
  EXPECT_TRUE(timer.Cancel(id));
  EXPECT_FALSE(timer.Cancel(id));
  timer.Stop();
  EXPECT_FALSE(ran);
}

TEST(TimerTest, StopDropsWhatWaitsAndWhatComesLater) {
  Timer timer;
  auto held = std::make_shared<int>(1);
  timer.ScheduleAt(SystemClock().Now() + std::chrono::hours(1), [held] {});
  timer.Stop();
  EXPECT_EQ(held.use_count(), 1);
  timer.ScheduleAt(SystemClock().Now(), [held] {});
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace indoubt
