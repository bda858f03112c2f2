// Kills and starts again a path's own process when a person asks for it, beside the fault
// that the scenario plans, and keeps both as records.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status.h"
#include "experiments/by_hand.h"
#include "experiments/fault_director.h"
#include "experiments/paths/path.h"

namespace indoubt {

/// Of one repetition, `cell` and `rep`. Use from the thread that started the path; `hand` may
/// be asked from any meanwhile.
class HandFaults {
 public:
  /// `hand`: null when nobody can ask. Both must outlive this.
  HandFaults(Path& path, ByHand* hand, std::string cell, int rep);
  ~HandFaults();
  HandFaults(const HandFaults&) = delete;
  HandFaults& operator=(const HandFaults&) = delete;

  /// Does what was asked for, and says anew what can be. Returns what happened just now, for
  /// a person; empty: nothing. An error: the process could not be started again.
  Result<std::string> Step(const FaultDirector& planned);
  /// Whether the path's process is dead by hand, and what is planned for it has to wait.
  bool Holds(const FaultDirector& planned) const {
    return Down() && planned.Strikes(offer_.target);
  }
  /// What is broken now by hand, for a person: "coordinator killed by hand"; empty: nothing.
  std::string Active() const;
  /// What can be done now; none when nobody can ask.
  std::optional<HandOffer> offer() const;
  /// Nothing can be asked for from now on, and what is dead is started again.
  Status HealNow();
  bool acted() const { return !kills_.empty(); }
  /// rep.json's `faults`, those by hand.
  nlohmann::json Records() const;

 private:
  bool Down() const { return !kills_.empty() && !kills_.back().healed; }

  struct Death {
    TimePoint requested;
    std::optional<TimePoint> observed, healed;
  };

  HandOffer Offer(const FaultDirector& planned) const;
  std::string Kill();
  Result<std::string> Restart(const std::string& strike_point);

  Path& path_;
  ByHand* const hand_;
  HandOffer offer_;
  std::vector<Death> kills_;
};

}  // namespace indoubt
