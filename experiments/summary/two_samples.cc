#include "experiments/summary/two_samples.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/check.h"

namespace indoubt {
namespace {

constexpr size_t kMostExact = 50;  // of either sample

using Probabilities = std::vector<double>;  // of the statistic's values 0, 1, ...

/// The distribution of Mann and Whitney's U when nothing differs, by their recursion.
Probabilities RankSumDistribution(size_t m, size_t n) {
  // row[j] is the distribution for (i, j); rows of i = 0, 1, ... m.
  std::vector<Probabilities> row(n + 1, Probabilities{1});
  for (size_t i = 1; i <= m; ++i) {
    std::vector<Probabilities> next(n + 1);
    next[0] = {1};
    for (size_t j = 1; j <= n; ++j) {
      const double total = static_cast<double>(i + j);
      Probabilities& here = next[j];
      here.assign(i * j + 1, 0);
      for (size_t u = 0; u < row[j].size(); ++u) {  // the largest is of the first: u + j
        here[u + j] += static_cast<double>(i) / total * row[j][u];
      }
      for (size_t u = 0; u < next[j - 1].size(); ++u) {
        here[u] += static_cast<double>(j) / total * next[j - 1][u];
      }
    }
    row = std::move(next);
  }
  return row[n];
}

/// The largest k with 2 * P(U < k) <= 1 - level: the k-th smallest and the k-th largest
/// pair bound the interval. 0 when there is none.
size_t PairRank(size_t m, size_t n, double level) {
  const double pairs = static_cast<double>(m * n);
  if (m > kMostExact || n > kMostExact) {
    const double quantile = level >= 0.99 ? 2.575829 : 1.959964;
    const double spread = std::sqrt(pairs * static_cast<double>(m + n + 1) / 12);
    const double rank = std::floor(pairs / 2 - quantile * spread);
    return rank < 1 ? 0 : static_cast<size_t>(rank);
  }
  const Probabilities probabilities = RankSumDistribution(m, n);
  double below = 0;
  size_t rank = 0;
  for (const double probability : probabilities) {
    below += probability;
    // 1e-12: the sum of rounded terms may be above what it is exactly.
    if (2 * below > 1 - level + 1e-12 || 2 * (rank + 1) > m * n) break;
    ++rank;
  }
  return rank;
}

template <typename Pair>
std::optional<Shift> OverPairs(const std::vector<double>& first,
                               const std::vector<double>& second, double level, Pair pair) {
  if (first.empty() || second.empty()) return std::nullopt;
  std::vector<double> pairs;
  pairs.reserve(first.size() * second.size());
  for (const double a : first) {
    for (const double b : second) pairs.push_back(pair(a, b));
  }
  std::sort(pairs.begin(), pairs.end());
  const size_t count = pairs.size();
  Shift shift;
  shift.estimate =
      count % 2 == 1 ? pairs[count / 2] : pairs[count / 2 - 1] / 2 + pairs[count / 2] / 2;
  if (const size_t rank = PairRank(first.size(), second.size(), level); rank > 0) {
    shift.low = pairs[rank - 1];
    shift.high = pairs[count - rank];
  }
  return shift;
}

}  // namespace

std::optional<Shift> Difference(const std::vector<double>& first,
                                const std::vector<double>& second, double level) {
  return OverPairs(first, second, level, [](double a, double b) { return b - a; });
}

std::optional<Shift> Ratio(const std::vector<double>& first, const std::vector<double>& second,
                           double level) {
  const auto positive = [](double value) { return value > 0; };
  if (!std::all_of(first.begin(), first.end(), positive) ||
      !std::all_of(second.begin(), second.end(), positive)) {
    return std::nullopt;
  }
  return OverPairs(first, second, level, [](double a, double b) { return b / a; });
}

}  // namespace indoubt
