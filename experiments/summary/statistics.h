// Exact statistics over raw values: nothing is bucketed, nothing is averaged that
// must not be.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// The nearest-rank percentile of ascending `sorted`: the value at rank
/// ceil(n * per_ten_thousand / 10000). None of nothing. 9990 is the p99.9.
std::optional<double> NearestRank(const std::vector<double>& sorted, int per_ten_thousand);

/// {"n", "p50", "p90", "p99", "p999", "max"}; null percentiles when n is 0.
nlohmann::json DistributionJson(std::vector<double> values);

/// What repetitions say together.
struct MedianInterval {
  double median = 0;  // of an even count the mean of the middle two
  /// Order statistics that enclose the true median with at least 95 percent
  /// confidence whatever the distribution (binomial; Conover, Practical
  /// Nonparametric Statistics, 3.2). None below six repetitions: there is no such pair.
  std::optional<double> ci_low, ci_high;
  size_t n = 0;
};
/// None of nothing.
std::optional<MedianInterval> Median(std::vector<double> values);

}  // namespace indoubt
