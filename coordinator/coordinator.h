// The live coordinator: drives the pure state machine (transaction.h) with real
// participants, a real log and real time. Everything that may be decided is
// decided in there; this file only carries events in and actions out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/executor.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// What to do with a log that was never accepted and has decided nothing. Beside
/// prepared branches of this node it stands where another log was lost: what that one
/// decided is not in it, and nobody may presume an abort.
enum class EmptyLog {
  kRefuse,    // do not start beside such branches
  kAccept,    // accept the log for good, durably; such branches stay as they are
  kLookOnly,  // start without accepting it: for those who only list and forget
};

struct CoordinatorOptions {
  std::string node;  // [A-Za-z0-9_-]{1,32}
  /// Until the decision; at most kLongestTimeout.
  Duration default_timeout = std::chrono::seconds(5);
  /// Between recovery passes in the background; 0: none, only on demand.
  Duration recovery_interval = std::chrono::seconds(1);
  /// Between preflights of participants that can take part: their settings may have
  /// changed. One whose answer stayed away is looked at again at once.
  Duration check_interval = std::chrono::seconds(10);
  /// How long Execute waits, after the decision, for every participant to apply
  /// it before the caller is told "in doubt" or "committed" (see Execute).
  Duration apply_timeout = std::chrono::seconds(5);
  EmptyLog empty_log = EmptyLog::kRefuse;
};

/// One transaction that is not over, or whose outcome is heuristic.
struct TransactionView {
  std::string gid;
  /// kCommitted: decided, not applied everywhere. kInDoubt: prepared somewhere,
  /// and nothing here knows its decision (yet). kHeuristic.
  Outcome outcome = Outcome::kInDoubt;
  std::string note;  // why, for a person
  std::vector<ParticipantOutcome> participants;
};

/// What Coordinator::List found.
struct TransactionList {
  std::vector<TransactionView> transactions;
  /// Participants that could not be asked, each with why: they may hold branches in
  /// doubt that are not in the list.
  std::vector<std::string> notices;
};

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

/// Thread-safe. Recovery runs beside new work.
class Coordinator : public TransactionExecutor {
 public:
  /// Takes over the log. While it is not accepted, every start looks whether the
  /// participants hold prepared branches of this node that another log must have
  /// decided (kRefused then; see EmptyLog). A participant that is down does not stop
  /// the start.
  static Result<std::unique_ptr<Coordinator>> Start(
      CoordinatorOptions options, std::unique_ptr<DecisionLog> log,
      std::vector<std::unique_ptr<Participant>> participants);

  /// Waits for transactions under way (at most their timeouts) and stops.
  ~Coordinator() override = default;

  /// One recovery pass: list prepared branches, take the active set, read the log,
  /// list again, act on what both listings hold and is not active. `adopt`: also
  /// treat branches of this node and that log as this log's. Blocks until
  /// `deadline` at most; a participant that is down leaves its branches in doubt.
  virtual Result<RecoveryReport> Recover(TimePoint deadline,
                                         std::optional<LogId> adopt = {}) = 0;

  /// Everything that is in doubt, decided and unapplied, or heuristic. Asks the
  /// participants, until `deadline`.
  virtual Result<TransactionList> List(TimePoint deadline) = 0;

  /// Drops the heuristic outcomes of `gid` durably, and then what the stores keep of
  /// them. kNotFound when it has none, kRefused while its commit is not applied
  /// everywhere (recovery would find them anew).
  virtual Status Forget(const Gid& gid) = 0;

  /// What the log says of `gid`.
  virtual LoggedState Find(const Gid& gid) const = 0;

  /// Refuses new transactions and waits for those under way until `deadline`, or until
  /// the log has stopped: then only the next start can end them.
  virtual void Drain(TimePoint deadline) = 0;

  /// Whether this start accepted a log that had decided nothing (EmptyLog::kAccept).
  virtual bool accepted_empty_log() const = 0;

  /// Ok, or why the log stopped for good: then this process must end (non-zero).
  virtual Status health() const = 0;
};

}  // namespace indoubt
