// When operations are due in an open loop: a Poisson process, drawn from the seed
// alone, so that every path meets the same arrivals.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace indoubt {

/// Thread-compatible.
class PoissonSchedule {
 public:
  /// `rate_per_s` above 0.
  PoissonSchedule(double rate_per_s, uint64_t seed);

  /// From the start of the load to the next arrival, never decreasing.
  Duration Next();

 private:
  const double rate_per_s_;
  const uint64_t seed_;
  uint64_t counter_ = 0;
  double seconds_ = 0;
};

}  // namespace indoubt
