#include "experiments/workloads/random.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace indoubt {
namespace {

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;

}  // namespace

uint64_t RandomAt(uint64_t seed, uint64_t stream, uint64_t counter) {
  const uint64_t key = Mix(Mix(seed + kGolden) + (stream + 1) * kGolden);
  return Mix(key + (counter + 1) * kGolden);
}

double RandomUnitAt(uint64_t seed, uint64_t stream, uint64_t counter) {
  return static_cast<double>(RandomAt(seed, stream, counter) >> 11) * 0x1.0p-53;
}

std::vector<double> ZipfCdf(int64_t n, double skew) {
  INDOUBT_CHECK(n > 0, "a Zipf distribution needs at least one rank");
  std::vector<double> cdf(static_cast<size_t>(n));
  double sum = 0;
  for (int64_t rank = 1; rank <= n; ++rank) {
    sum += std::pow(static_cast<double>(rank), -skew);
    cdf[static_cast<size_t>(rank - 1)] = sum;
  }
  for (double& entry : cdf) entry /= sum;
  cdf.back() = 1;
  return cdf;
}

int64_t ZipfRank(const std::vector<double>& cdf, double unit) {
  return std::upper_bound(cdf.begin(), cdf.end() - 1, unit) - cdf.begin() + 1;
}

}  // namespace indoubt
