#include "experiments/schedule.h"

#include <cmath>

#include "base/check.h"
#include "experiments/workloads/random.h"

namespace indoubt {
namespace {

constexpr uint64_t kArrivalStream = 100;  // apart from those of the workload

}  // namespace

PoissonSchedule::PoissonSchedule(double rate_per_s, uint64_t seed)
    : rate_per_s_(rate_per_s), seed_(seed) {
  INDOUBT_CHECK(rate_per_s > 0, "an open loop needs a rate above 0");
}

Duration PoissonSchedule::Next() {
  const double unit = RandomUnitAt(seed_, kArrivalStream, counter_++);
  seconds_ += -std::log1p(-unit) / rate_per_s_;  // unit is below 1
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds_));
}

}  // namespace indoubt
