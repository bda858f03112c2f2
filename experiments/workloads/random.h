// Counter-based randomness: the i-th number of a stream is a function of seed,
// stream and i alone, so that any operation can be computed without those before
// it, on every path alike.
#pragma once

#include <cstdint>
#include <vector>

namespace indoubt {

/// SplitMix64's finaliser over seed, stream and counter; all 64 bits usable.
uint64_t RandomAt(uint64_t seed, uint64_t stream, uint64_t counter);

/// The same as a double in [0, 1).
double RandomUnitAt(uint64_t seed, uint64_t stream, uint64_t counter);

/// Cumulative Zipf distribution over ranks 1..n: P(k) is proportional to
/// 1/k^skew; 0 is uniform. The last entry is exactly 1.
std::vector<double> ZipfCdf(int64_t n, double skew);

/// The rank, 1..n, that `unit` in [0, 1) falls on.
int64_t ZipfRank(const std::vector<double>& cdf, double unit);

}  // namespace indoubt
