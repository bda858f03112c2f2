// Injects a fault at the scenario's time and heals it again, and keeps what was asked
// for beside what was seen.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "experiments/faults/fault.h"
#include "experiments/scenario.h"

namespace indoubt {

/// Use from the thread that started the path.
class FaultDirector {
 public:
  /// `fault`: null for a path that is spared. `measure_from`: what plan.at counts from.
  FaultDirector(Fault* fault, FaultPlan plan, TimePoint measure_from);

  /// Does what is due. Returns what happened just now, for a person; empty: nothing.
  Result<std::string> Step();
  /// What is broken now, for a person: "coordinator killed"; empty: nothing is.
  std::string Active() const;
  /// Whether `target` is broken, or about to be: asked for, and not healed.
  bool Breaks(const std::string& target) const;
  /// Whether it is `target` that is to be broken some time.
  bool Strikes(const std::string& target) const;
  /// The fail point that a process which is started now has to have armed, for a strike that
  /// is still to come; empty: none.
  std::string PointToArm() const;
  /// Heals at once what is broken: the repetition is over.
  Status HealNow();
  /// rep.json's `faults`.
  nlohmann::json Records() const;
  /// What did not go as planned.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Status Heal();

  Fault* const fault_;
  const FaultPlan plan_;
  const TimePoint measure_from_;
  std::optional<TimePoint> requested_, observed_, healed_;
  std::vector<std::string> warnings_;
};

}  // namespace indoubt
