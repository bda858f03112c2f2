// What can happen to a transaction. Everything from outside reaches the state
// machine (transaction.h) as one of these values.
#pragma once

#include <cstddef>
#include <string>
#include <variant>

#include "participants/participant.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// The first event of every transaction, recovered ones included.
struct Started {};

/// A participant has answered its prepare; kUnknown when no answer can come.
struct Voted {
  size_t participant = 0;
  Vote vote;
};

/// The only participant has answered its one-phase commit.
struct OnePhaseEnded {
  OnePhaseKind kind = OnePhaseKind::kUnknown;
  std::string reason;
};

/// The last resource has answered its commit. kUnknown: it may have committed, and may yet.
struct LastResourceEnded {
  OnePhaseKind kind = OnePhaseKind::kUnknown;
  std::string reason;
};

/// The time until the decision ran out.
struct TimedOut {};

/// The coordinator itself does not want to go on. Counts only before the decision.
struct GaveUp {
  StatusCode code = StatusCode::kAborted;
  std::string reason;
};

/// The log has answered a Propose, or the last resource an AskDecision, with the decision
/// that stands.
struct Decided {
  DecisionOutcome outcome = DecisionOutcome::kUnknown;
  std::string reason;
};

/// A participant has answered the commit or roll back that it was told last.
struct Acknowledged {
  size_t participant = 0;
  Ack ack;
};

/// The log has made a heuristic outcome durable, or failed to.
struct HeuristicStored {
  size_t participant = 0;
  bool durable = false;
};

/// The end record is written.
struct EndWritten {};

/// The caller waits no longer for the decision to be applied.
struct CallerTimedOut {};

using Event = std::variant<Started, Voted, OnePhaseEnded, LastResourceEnded, TimedOut, GaveUp,
                           Decided, Acknowledged, HeuristicStored, EndWritten, CallerTimedOut>;

}  // namespace indoubt
