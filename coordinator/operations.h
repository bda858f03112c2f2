// What a person asks a coordinator about its transactions: one in this process, or one
// that serves, through its control socket (control.h). The command line's verbs are
// written against this.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/executor.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// One transaction that is not over, whose outcome is heuristic, or that was asked for.
struct TransactionView {
  std::string gid;
  /// kCommitted: decided, and applied everywhere unless the note says otherwise.
  /// kRolledBack: by a person. kInDoubt: prepared somewhere, and nothing here knows its
  /// decision (yet). kHeuristic.
  Outcome outcome = Outcome::kInDoubt;
  std::string note;  // why, for a person
  std::vector<ParticipantOutcome> participants;
  /// What a person decided on it, if nobody has forgotten that.
  std::optional<OperatorDecision> operator_decision;
  /// Too old for anybody to tell what became of it; `outcome` says nothing then.
  bool forgotten = false;
  /// This coordinator is at it, and no participant has failed it so far: it needs nobody.
  bool under_way = false;

  /// Whether something of it is open, and nobody is known to end it soon.
  bool IsInDoubt() const;
};

/// What Operations found.
struct TransactionList {
  std::vector<TransactionView> transactions;
  /// Participants that could not be asked, each with why: they may hold branches in
  /// doubt that are not in the list.
  std::vector<std::string> notices;
};

/// What a person decided, who, when and why, in one line for a person.
std::string Describe(const OperatorDecision& decision);

struct RecoveredTransaction {
  std::string gid;
  Outcome outcome = Outcome::kInDoubt;
  std::vector<ParticipantOutcome> participants;
};

/// What one recovery pass did and found.
struct RecoveryReport {
  int committed = 0, rolled_back = 0, in_doubt = 0, heuristic = 0;
  std::vector<RecoveredTransaction> transactions;
  /// Unreachable participants, branches of a cloned configuration, and the like.
  std::vector<std::string> notices;
  /// Participants that could not be asked: they may hold branches unknown here.
  std::vector<std::string> unreachable;
};

/// What a person wants to become of a transaction in doubt.
struct ResolveRequest {
  Gid gid;
  /// kCommitted or kAborted (checked).
  DecisionOutcome decision = DecisionOutcome::kAborted;
  OperatorTrace by;  // `at` is set when it is recorded
  /// Roll back although the log holds the commit.
  bool force = false;
  /// The log that `gid` names, when it is not this coordinator's: the person knows that
  /// it is lost.
  std::optional<LogId> adopt;
};

/// Thread-safe. Calls block, until their deadline at most; Resolve and Forget up to 16 s
/// longer where the decision log or a last resource does not answer.
class Operations {
 public:
  virtual ~Operations() = default;

  /// One recovery pass: list prepared branches, take the active set, read the log,
  /// list again, act on what both listings hold and is not active. `adopt`: also
  /// treat branches of this node and that log as this log's. A participant that is down
  /// leaves its branches in doubt.
  virtual Result<RecoveryReport> Recover(TimePoint deadline,
                                         std::optional<LogId> adopt = {}) = 0;

  /// Everything that is in doubt, decided and unapplied, or heuristic. Asks the
  /// participants.
  virtual Result<TransactionList> List(TimePoint deadline) = 0;

  /// The one transaction, also one that ended within outcome_retention, or that a person
  /// decided, or so old that it is forgotten. kNotFound when there is no trace of it. Empty,
  /// with notices, when there is none here and a participant could not be asked.
  virtual Result<TransactionList> Show(const Gid& gid, TimePoint deadline) = 0;

  /// Settles a transaction in doubt as a person says. The decision is durable, with who,
  /// why and when, before any participant is told; it stands until it is forgotten, also
  /// for branches that turn up later. Returns the transaction as it then is; empty, with
  /// notices, when nothing of it was found and a participant could not be asked. Against
  /// what the log knows, and for what it cannot know, the outcome is heuristic.
  ///
  /// kNotFound: there is no trace of it. kInvalidArgument: it needs `force` or `adopt`, or
  /// is of another node. kRefused: it is under way, was decided the other way already, or
  /// cannot be settled; the message says what to do. kDeadlineExceeded, kIoError (then it
  /// is in doubt whether the decision is durable; restart and look).
  virtual Result<TransactionList> Resolve(const ResolveRequest& request,
                                          TimePoint deadline) = 0;

  /// Drops durably what is heuristic about `gid`, and what a person decided on it, and
  /// then what the stores keep of it. kNotFound when there is nothing of the kind,
  /// kRefused while its commit is not applied everywhere (recovery would find it anew, or
  /// roll back what is left of it).
  virtual Status Forget(const Gid& gid, const OperatorTrace& by) = 0;
};

}  // namespace indoubt
