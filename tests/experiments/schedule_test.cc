#include "experiments/schedule.h"

#include <cmath>

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(PoissonSchedule, IsTheSameForTheSameSeed) {
  PoissonSchedule a(150, 42), b(150, 42), other(150, 43);
  bool differs = false;
  for (int i = 0; i < 1000; ++i) {
    const Duration at = a.Next();
    EXPECT_EQ(at, b.Next());
    differs = differs || at != other.Next();
  }
  EXPECT_TRUE(differs);
}

TEST(PoissonSchedule, KeepsItsRateAndIsExponential) {
  constexpr int kArrivals = 20'000;
  PoissonSchedule schedule(100, 1);
  Duration last{};
  int longer_than_mean = 0;
  for (int i = 0; i < kArrivals; ++i) {
    const Duration at = schedule.Next();
    EXPECT_GE(at, last);
    if (at - last > std::chrono::milliseconds(10)) ++longer_than_mean;
    last = at;
  }
  EXPECT_NEAR(std::chrono::duration<double>(last).count(), 200, 6);
  EXPECT_NEAR(longer_than_mean / static_cast<double>(kArrivals), std::exp(-1), 0.02);
}

}  // namespace
}  // namespace indoubt
