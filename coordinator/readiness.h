// Which participants can keep the promise of a yes vote: their preflights' results.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "coordinator/runtime.h"
#include "participants/participant.h"

namespace indoubt {

/// Thread-safe. Participants are named by their position.
class Readiness {
 public:
  /// `runtime` and `participants` must outlive it. Nobody is ready before the first Check.
  Readiness(Runtime& runtime, const std::vector<std::unique_ptr<Participant>>& participants);

  enum class Whom { kEverybody, kUnready };
  /// Runs preflights, all at once, and blocks until the last is done or `deadline`.
  /// kUnready: those that have not passed or are suspect.
  void Check(Whom whom, TimePoint deadline);

  /// Ok when the participant may take part: its warnings are then added to
  /// `warnings`. Else kUnavailable or kRefused, naming it.
  Status Ready(size_t participant, std::vector<std::string>& warnings) const;

  /// An answer of this participant stayed away: look again before long.
  void Suspect(size_t participant);
  /// Has `then` called when a participant turns suspect. Call before there is work.
  void OnSuspect(std::function<void()> then) { on_suspect_ = std::move(then); }

 private:
  struct State {
    Status status;
    std::vector<std::string> warnings;
    bool suspect = true;
    /// Ok and without warnings: what every transaction asks first, without a lock.
    std::atomic<bool> clean{false};
  };
  void CheckOne(size_t participant, TimePoint deadline);

  Runtime& runtime_;
  const std::vector<std::unique_ptr<Participant>>& participants_;
  std::mutex checking_;              // one Check at a time
  mutable std::shared_mutex mutex_;  // guards states_
  std::vector<State> states_;
  std::function<void()> on_suspect_;
};

}  // namespace indoubt
