// Random samples for tests of statistics: of the generator's bits alone, so that every library
// draws the same.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace indoubt {

class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}
  /// Times around `median`, with the long right tail that times have.
  double LogNormal(double median, double sigma) {
    return median * std::exp(sigma * std::sqrt(-2 * std::log(Uniform())) *
                             std::cos(2 * M_PI * Uniform()));
  }
  std::vector<double> Sample(size_t n, double median, double sigma) {
    std::vector<double> values;
    for (size_t i = 0; i < n; ++i) values.push_back(LogNormal(median, sigma));
    return values;
  }

 private:
  double Uniform() { return (static_cast<double>(random_() >> 11) + 0.5) * 0x1.0p-53; }
  std::mt19937_64 random_;
};

}  // namespace indoubt
