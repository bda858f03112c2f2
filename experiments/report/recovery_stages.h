// The way back from a fault, stage by stage.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "experiments/summary/records.h"

namespace indoubt {

struct RecoveryStage {
  std::string name;
  std::optional<double> to_s;  // seconds since the fault acted
  std::string reason;          // why there is none: not measured, or not to be had
};

/// From when the first fault was seen to act: until the last was healed; then until the last
/// branch was decided, the last outside writer let through, the other stores had what
/// had been committed before, and the first commit came. Empty unless every fault of the
/// repetition acted and was healed. `two_phase`: whether the path prepares.
std::vector<RecoveryStage> RecoveryStages(const RepRecords& records, bool two_phase);

}  // namespace indoubt
