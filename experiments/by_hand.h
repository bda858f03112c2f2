// What a person does to a run while it goes on: asked for on the live page, done by the run
// itself between two of its steps.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "base/status.h"

namespace indoubt {

enum class HandAction { kKill, kRestart };

/// What can be done at this moment to the process of the path under way.
struct HandOffer {
  std::string cell;  // whose path it is
  int rep = 0;
  std::string target;           // "coordinator", "cdc-worker", "client"; empty: there is none
  std::string kill_refused;     // why it cannot be killed now; empty: it can
  std::string restart_refused;  // the same of starting it again
  friend bool operator==(const HandOffer&, const HandOffer&) = default;
};

/// What a person saw and asks for.
struct HandRequest {
  HandAction action = HandAction::kKill;
  std::string target;
  std::string cell;
  int rep = 0;
};

/// Between who asks and the run: holds one request at most. Thread-safe.
class ByHand {
 public:
  /// Takes the place of the last offer; a request for that one is forgotten.
  void Offer(HandOffer offer);
  /// Nothing can be done until there is another offer.
  void Withdraw();
  /// kRefused says why not: nothing is offered, or not that, or of another repetition, or
  /// something is asked for already.
  Status Ask(const HandRequest& request);
  /// What was asked for, once.
  std::optional<HandAction> Take();

 private:
  std::mutex mutex_;
  std::optional<HandOffer> offer_;     // guarded by mutex_
  std::optional<HandAction> pending_;  // guarded by mutex_
};

}  // namespace indoubt
