#include "experiments/schedule.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "experiments/run.h"

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

TEST(CellOrder, IsShuffledBySeedFromTheFirstRepetitionOn) {
  std::set<size_t> first_in_first_repetition;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (int n = 1; n <= 3; ++n) {
      const std::vector<size_t> order = CellOrder(seed, n, 3);
      EXPECT_EQ(order, CellOrder(seed, n, 3));
      EXPECT_EQ(std::set<size_t>(order.begin(), order.end()), (std::set<size_t>{0, 1, 2}));
      if (n == 1) first_in_first_repetition.insert(order[0]);
    }
  }
  EXPECT_EQ(first_in_first_repetition, (std::set<size_t>{0, 1, 2}));
}

}  // namespace
}  // namespace indoubt
