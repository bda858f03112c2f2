#include "experiments/summary/statistics.h"

#include <numeric>

#include <gtest/gtest.h>

namespace indoubt {
namespace {

std::vector<double> UpTo(int n) {
  std::vector<double> values(static_cast<size_t>(n));
  std::iota(values.begin(), values.end(), 1.0);
  return values;
}

TEST(NearestRankTest, IsAValueThatWasSeenAtTheCeilingOfItsShare) {
  EXPECT_EQ(NearestRank(UpTo(100), 5000), 50);
  EXPECT_EQ(NearestRank(UpTo(100), 9900), 99);
  EXPECT_EQ(NearestRank(UpTo(100), 9990), 100);
  EXPECT_EQ(NearestRank(UpTo(101), 5000), 51);
  EXPECT_EQ(NearestRank(UpTo(1000), 9990), 999);
  EXPECT_EQ(NearestRank({7}, 5000), 7);
  EXPECT_EQ(NearestRank({}, 5000), std::nullopt);
}

TEST(DistributionTest, OfNothingHasNullsAndACountOfZero) {
  const nlohmann::json nothing = DistributionJson({});
  EXPECT_EQ(nothing.at("n"), 0);
  EXPECT_TRUE(nothing.at("p50").is_null());
  EXPECT_TRUE(nothing.at("max").is_null());
}

TEST(MedianTest, HasNoIntervalBelowSixRepetitions) {
  EXPECT_FALSE(Median({}));
  const auto five = Median(UpTo(5));
  EXPECT_EQ(five->median, 3);
  EXPECT_FALSE(five->ci_low || five->ci_high);
  EXPECT_EQ(Median({4, 1})->median, 2.5);
}

// Ranks from published tables of the binomial interval for the median.
TEST(MedianTest, IntervalHasTheTabulatedRanks) {
  for (const auto& [n, low, high] :
       {std::tuple(6, 1, 6), std::tuple(8, 1, 8), std::tuple(9, 2, 8), std::tuple(10, 2, 9),
        std::tuple(20, 6, 15), std::tuple(30, 10, 21)}) {
    const auto interval = Median(UpTo(n));
    EXPECT_EQ(interval->ci_low, low) << n;
    EXPECT_EQ(interval->ci_high, high) << n;
  }
}

}  // namespace
}  // namespace indoubt
