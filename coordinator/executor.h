// A whole transaction, handed over at once: the statements for each participant,
// and the one outcome. The coordinator is the executor that a product uses; the
// experiments compare it with others behind this same interface.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "participants/participant.h"

namespace indoubt {

/// A statement and the participant it is for.
struct AddressedStatement {
  std::string participant;
  Statement statement;
};

/// The longest timeout of a request. Ending a coordinator waits for the transactions
/// under way, so that nobody may ask for more.
constexpr Duration kLongestTimeout = std::chrono::minutes(10);

struct TransactionRequest {
  std::vector<AddressedStatement> statements;  // in order within a participant
  /// Until the decision, at most kLongestTimeout; 0: the default.
  Duration timeout{};
};

/// kInvalidArgument when a request may not ask for this timeout.
Status CheckTimeout(Duration timeout);

enum class Outcome {
  kCommitted,
  kRolledBack,  // nothing was written anywhere
  kInDoubt,     // not known yet; recovery will settle it
  kHeuristic,   // some participant was resolved against the decision
};

/// The words of the command line's JSON.
const char* ToString(Outcome outcome);

enum class AckState { kNone, kCommitted, kRolledBack, kUnknown, kHeuristic };
const char* ToString(AckState ack);
const char* ToString(VoteKind vote);

struct ParticipantOutcome {
  std::string name;
  std::optional<VoteKind> vote;  // none: was never asked
  AckState ack = AckState::kNone;
};

struct TransactionOutcome {
  std::string gid;  // empty for an executor without transactions
  Outcome outcome = Outcome::kInDoubt;
  /// Why it did not commit: names the participant. Empty for a commit.
  std::string reason;
  /// The class of the reason, for exit codes; kOk for a commit.
  StatusCode code = StatusCode::kOk;
  Duration elapsed{};
  std::vector<StatementResult> results;  // one a statement, in the request's order
  std::vector<ParticipantOutcome> participants;
  std::vector<std::string> warnings;  // e.g. a participant with relaxed durability
};

/// The outcome of a request that was refused before anything was sent anywhere.
TransactionOutcome RefusedBecause(const Status& why);

using OutcomeCallback = std::function<void(TransactionOutcome)>;

/// Thread-safe. The callback runs once, on any thread, and must not block.
class TransactionExecutor {
 public:
  virtual ~TransactionExecutor() = default;
  virtual void Execute(TransactionRequest request, OutcomeCallback done) = 0;
};

}  // namespace indoubt
