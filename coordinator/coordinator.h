// The live coordinator: drives the pure state machine (transaction.h) with real
// participants, a real log and real time. Everything that may be decided is
// decided in there; this file only carries events in and actions out.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/executor.h"
#include "coordinator/operations.h"
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
  /// Between recovery passes in the background; 0: none, only on demand. This one and
  /// those below are at most a day.
  Duration recovery_interval = std::chrono::seconds(1);
  /// Between preflights of participants that can take part: their settings may have
  /// changed. One whose answer stayed away is looked at again at once. Above 0.
  Duration check_interval = std::chrono::seconds(10);
  /// How long Execute waits, after the decision, for every participant to apply
  /// it before the caller is told "in doubt" or "committed" (see Execute). Above 0.
  Duration apply_timeout = std::chrono::seconds(5);
  EmptyLog empty_log = EmptyLog::kRefuse;
  /// How long the start waits for one that does not answer, for each time that it asks the
  /// participants.
  Duration start_patience = std::chrono::seconds(3);
  /// Without, the start runs no preflight: nobody can take part in a transaction before
  /// Recover, or check_interval, has.
  bool check_at_start = true;
  /// When the caller of a commit is told, where the request does not say.
  AnswerWhen answer_when = AnswerWhen::kApplied;
};

/// Thread-safe. Recovery runs beside new work.
class Coordinator : public TransactionExecutor, public Operations {
 public:
  /// Takes over the log. While it is not accepted, every start looks whether the
  /// participants hold prepared branches of this node that another log must have
  /// decided (kRefused then; see EmptyLog). A participant that is down does not stop
  /// the start. kInvalidArgument names the option that is out of its range.
  static Result<std::unique_ptr<Coordinator>> Start(
      CoordinatorOptions options, std::unique_ptr<DecisionLog> log,
      std::vector<std::unique_ptr<Participant>> participants);

  /// Waits for transactions under way (at most their timeouts) and stops.
  ~Coordinator() override = default;

  /// What the log says of `gid`.
  virtual LoggedState Find(const Gid& gid) const = 0;

  /// Aborts transactions under way whose decision is not asked for yet, with this reason,
  /// and refuses new ones from now on. Does not wait.
  virtual void GiveUp(const std::string& reason) = 0;

  /// Refuses new transactions and waits for those under way until `deadline`, or until
  /// the log has stopped: then only the next start can end them.
  virtual void Drain(TimePoint deadline) = 0;

  /// Whether this start accepted a log that had decided nothing (EmptyLog::kAccept).
  virtual bool accepted_empty_log() const = 0;

  /// Ok, or why the log stopped for good: then this process must end (non-zero).
  virtual Status health() const = 0;
};

}  // namespace indoubt
