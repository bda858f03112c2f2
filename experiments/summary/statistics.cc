#include "experiments/summary/statistics.h"

#include <algorithm>
#include <cmath>

namespace indoubt {
namespace {

/// The largest k for which x(k)..x(n-k+1), counted from 1, covers the median with
/// 95 percent: 2 * P(Binomial(n, 1/2) < k) <= 0.05. 0 when there is none.
size_t IntervalRank(size_t n) {
  double term = std::pow(0.5, static_cast<double>(n));  // P(X = 0)
  double below = 0;
  size_t rank = 0;
  for (size_t k = 1; k <= n / 2; ++k) {
    below += term;
    if (2 * below > 0.05) break;
    rank = k;
    term *= static_cast<double>(n - k + 1) / static_cast<double>(k);
  }
  return rank;
}

}  // namespace

std::optional<double> NearestRank(const std::vector<double>& sorted, int per_ten_thousand) {
  if (sorted.empty()) return std::nullopt;
  const size_t rank = (sorted.size() * static_cast<size_t>(per_ten_thousand) + 9999) / 10000;
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

nlohmann::json DistributionJson(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](int per_ten_thousand) {
    const auto value = NearestRank(values, per_ten_thousand);
    return value ? nlohmann::json(*value) : nlohmann::json();
  };
  return {{"n", values.size()}, {"p50", at(5000)},  {"p90", at(9000)},
          {"p99", at(9900)},    {"p999", at(9990)}, {"max", at(10000)}};
}

std::optional<MedianInterval> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  MedianInterval result;
  result.n = n;
  result.median = n % 2 == 1 ? values[n / 2] : values[n / 2 - 1] / 2 + values[n / 2] / 2;
  if (const size_t rank = IntervalRank(n); rank > 0) {
    result.ci_low = values[rank - 1];
    result.ci_high = values[n - rank];
  }
  return result;
}

}  // namespace indoubt
