// Where commit decisions become durable. Presumed abort: a transaction without
// a commit decision in its log is aborted, so only commits are forced.
//
// A decision goes through one door, Decide(), and completes with the decision
// that stands. Nobody may be told "commit" before it has completed with
// kCommitted. After a failed write or sync the log stops for good: the
// transaction at hand is in doubt (its record may have survived) and restart
// decides.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/gid.h"
#include "base/status.h"
#include "participants/decision.h"

namespace indoubt {

/// A branch that was resolved against the decision, or whose fate is lost.
struct HeuristicRecord {
  Gid gid;
  std::string participant;
  DecisionOutcome decision = DecisionOutcome::kUnknown;  // what should have happened
  std::string reason;                                    // what was found, one line
  std::string found_at;                                  // wall clock, RFC 3339
  friend bool operator==(const HeuristicRecord&, const HeuristicRecord&) = default;
};

/// Who asked for what only a person may decide, why, and when.
struct OperatorTrace {
  std::string who;     // "root (uid 0) on db-7"
  std::string reason;  // one line for those who come later; may be empty
  std::string at;      // wall clock, RFC 3339
  friend bool operator==(const OperatorTrace&, const OperatorTrace&) = default;
};

/// What a person decided on a transaction that was in doubt. It stands in the place of
/// the log's own decision until it is forgotten; one that agrees with the log may go
/// after outcome_retention.
struct OperatorDecision {
  Gid gid;
  DecisionOutcome decided = DecisionOutcome::kAborted;  // never kUnknown
  /// What the log itself said: kAborted is presumed, kUnknown is for another log's.
  DecisionOutcome known = DecisionOutcome::kUnknown;
  OperatorTrace by;
  std::vector<std::string> participants;  // known to have held a branch then

  /// Whether it goes against the log, or beyond what it can know.
  bool IsHeuristic() const { return decided != known; }
  friend bool operator==(const OperatorDecision&, const OperatorDecision&) = default;
};

/// How the log knows a gid.
enum class LoggedState {
  kUnknown,    // no record: never decided here, or forgotten; or a person rolled it back
  kCommitted,  // decided, not every participant has acknowledged
  kEnded,      // committed and acknowledged by all, within outcome_retention; or a
               // person committed it
};

/// A commit that a client asked for by name.
struct NamedCommit {
  Gid gid;
  RequestName request;
  friend bool operator==(const NamedCommit&, const NamedCommit&) = default;
};

using DecideCallback = std::function<void(DecisionOutcome outcome, Status why)>;
using LogCallback = std::function<void(Status)>;

/// Lives while its thread runs a callback of a caller's. That may begin the next
/// transaction, and its answer the next: a log that synced on the caller's thread then
/// would nest them without end, and have whatever else is to be called wait.
class WithinCallback {
 public:
  WithinCallback() { ++depth_; }
  ~WithinCallback() { --depth_; }
  WithinCallback(const WithinCallback&) = delete;
  WithinCallback& operator=(const WithinCallback&) = delete;
  /// Whether this thread is within one.
  static bool Here() { return depth_ > 0; }

 private:
  static inline thread_local int depth_ = 0;
};

/// Thread-safe. Callbacks run once, on a thread of the log's or the caller's,
/// and must not block.
class DecisionLog {
 public:
  virtual ~DecisionLog() = default;

  /// This log's random identity, made with it.
  virtual const LogId& id() const = 0;
  /// Raised durably at every open, before anything else; at least 1.
  virtual uint32_t incarnation() const = 0;
  /// Whether this log may stand for its node: it has held a decision, or was accepted.
  /// Until then it may be a new one in the place of one that was lost. Durable.
  virtual bool accepted() const = 0;
  /// Makes it so durably, although it has decided nothing.
  virtual void Accept(LogCallback done) = 0;

  /// Proposes `outcome` for `gid`. For kCommitted the record with `branches` is
  /// forced first. kAborted costs no write here. Completes with the decision
  /// that stands; kUnknown, with the reason, after a failed write or sync.
  /// `request`: by what the client asked for it; FindRequest knows it from
  /// the call on, not only once the record is durable.
  virtual void Decide(const Gid& gid, DecisionOutcome outcome,
                      std::vector<BranchRecord> branches, DecideCallback done,
                      RequestName request = {}) = 0;

  /// Every participant of `gid` has acknowledged. Lazy: durable some time later, at
  /// the latest with the next decision that is asked for after it.
  virtual void End(const Gid& gid) = 0;
  /// Completes once every end so far is durable. Costs nothing when they all are.
  virtual void FlushEnds(LogCallback done) = 0;

  /// Makes a heuristic outcome durable; it stays until Forget.
  virtual void RecordHeuristic(HeuristicRecord record, LogCallback done) = 0;
  /// Makes a person's decision durable; from then on Find, Unended and Decide go by it,
  /// and it stays until Forget. The caller sees to it that nobody else acts on `gid`.
  virtual void RecordOperatorDecision(OperatorDecision decision, LogCallback done) = 0;
  /// Drops durably what is heuristic about `gid`, and what a person decided on it. The
  /// request id of what a person rolled back is free then.
  virtual void Forget(const Gid& gid, OperatorTrace by, LogCallback done) = 0;

  /// Commits without an end record, oldest first: what recovery reads as T.
  virtual std::vector<Decision> Unended() const = 0;
  virtual std::vector<HeuristicRecord> Heuristics() const = 0;
  virtual std::vector<OperatorDecision> OperatorDecisions() const = 0;
  virtual LoggedState Find(const Gid& gid) const = 0;
  /// Whether `gid`, which Find does not know, is so old that it may be a commit that has
  /// ended longer than outcome_retention ago. For gids of this log.
  virtual bool IsForgotten(const Gid& gid) const = 0;
  /// The commit that the client asked for by this id, proposed or durable, if it has not
  /// ended or within outcome_retention.
  virtual std::optional<NamedCommit> FindRequest(const std::string& id) const = 0;
  /// Whether another request id can be remembered.
  virtual bool HasRoomForRequest() = 0;

  /// Ok, or why the log stopped for good.
  virtual Status health() const = 0;
};

}  // namespace indoubt
