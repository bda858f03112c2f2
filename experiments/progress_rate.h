// How many operations a second, of what a run says of itself several times a second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "experiments/run.h"

namespace indoubt {

/// Use from one thread.
class ProgressRate {
 public:
  struct Rates {
    std::optional<double> committed_per_s, errors_per_s;  // none: not for a second yet
  };
  /// Over about the last second of the repetition under way; none where there is no load.
  Rates At(const RunProgress& progress);

 private:
  struct Counts {
    double at_s = 0;
    int64_t committed = 0, errors = 0;
  };
  std::string place_;
  std::optional<Counts> counted_;
  Rates rates_;
};

}  // namespace indoubt
