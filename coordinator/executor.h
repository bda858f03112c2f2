// A whole transaction, handed over at once: the statements for each participant,
// and the one outcome. The coordinator is the executor that a product uses; the
// experiments compare it with others behind this same interface.
#pragma once

#include <functional>
#include <optional>
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

/// When the caller of a commit is told.
enum class AnswerWhen {
  kApplied,  // every participant has applied it: it can be read everywhere
  kDecided,  // the decision is durable: it cannot be lost any more, and is being applied
};

struct TransactionOutcome;

struct TransactionRequest {
  std::vector<AddressedStatement> statements;  // in order within a participant
  /// Until the decision, at most kLongestTimeout; 0: the default.
  Duration timeout{};

  /// Names this request for good, [A-Za-z0-9_.:-]{1,64}; empty: no name. Asked again by
  /// the same id within outcome_retention after its commit, also after a restart, it is
  /// not done twice, and the answer is the same but for the statements' results. One that
  /// was rolled back, or that only read, may be done anew. Another one under the same id, with
  /// other statements, is refused (kInvalidArgument) as long as the first is under way or
  /// remembered. After outcome_retention an id is forgotten, and free.
  std::string request_id = {};

  /// Towards a server: learn the gid at once, so that an outcome in doubt carries it also
  /// when the server's answer was lost. Costs a message.
  bool announce_gid = false;

  /// None: what the coordinator's options say.
  std::optional<AnswerWhen> answer_when = {};

  /// Within the coordinator's process only, as after_completion; a server is not sent
  /// them. Called once with the gid, before any participant is asked to prepare; an error rolls
  /// back, with that reason. Not called for a request that was refused, or answered from
  /// an earlier one. Must not block.
  std::function<Status(const std::string& gid)> before_prepare = {};
  /// Called once when it is over for this coordinator (every participant has applied the
  /// outcome, or was given up to recovery), with the outcome as it then is; after the
  /// answer, or before. Not called where before_prepare is not, nor when the process ends
  /// first, nor for one that a person settles meanwhile. Neither these nor the callback of
  /// Execute may throw. Must not block.
  std::function<void(const TransactionOutcome&)> after_completion = {};
};

/// kInvalidArgument unless it is empty or [A-Za-z0-9_.:-]{1,64}.
Status CheckRequestId(const std::string& id);

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
  /// It is the outcome of an earlier request with the same id; then `results` may be empty.
  bool asked_before = false;
};

/// The outcome of a request that was refused before anything was sent anywhere.
TransactionOutcome RefusedBecause(const Status& why);

using OutcomeCallback = std::function<void(TransactionOutcome)>;

/// Thread-safe.
class TransactionExecutor {
 public:
  virtual ~TransactionExecutor() = default;

  /// Runs the statements at their participants and commits them everywhere or nowhere.
  /// Returns at once. `done` is called once with the outcome, on any thread, also before
  /// Execute has returned, and must not block. What is wrong is an outcome, too, with its
  /// class in `code`:
  ///   rolled back   kInvalidArgument: an unknown participant, a bad timeout or id, or an
  ///                 id that is another request's;
  ///                 kUnavailable, kRefused: a participant cannot be reached, or cannot
  ///                 keep the promise of a yes vote, or the coordinator stops or is full;
  ///                 kAborted: a participant's no, or too many results together;
  ///                 kDeadlineExceeded: the timeout; kIoError: the log had stopped
  ///   in doubt      kDeadlineExceeded: decided and not applied everywhere in time, or no
  ///                 word from the log yet; kIoError: the decision's write or sync failed;
  ///                 kUnavailable: a lone participant, or a server, has not answered
  ///   heuristic     kInternal: a participant was resolved against the decision
  virtual void Execute(TransactionRequest request, OutcomeCallback done) = 0;
};

}  // namespace indoubt
