// What a store must offer to take part in a two-phase commit, and how the
// coordinator speaks to it.
//
// The promise of a yes vote: from then on the branch survives the crash of its
// server and of the coordinator, its commit can no longer fail for reasons of
// its own, conflicting writers are held off, and it waits in doubt until it is
// told. Atomic commit is not atomic visibility: between two participants'
// commits a reader can see one and not the other.
//
// Calls do not block on the store: they hand over work and return; the callback
// runs once, on a thread of the adapter's (or on the caller's, before the call
// returns). A callback must not block. After a participant's destructor has
// returned no callback runs any more; those still owed are answered first, with
// kUnknown or kRetry.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/gid.h"
#include "base/status.h"

namespace indoubt {

/// Bytes that are not text.
struct Blob {
  std::string bytes;
  friend bool operator==(const Blob&, const Blob&) = default;
};

/// A parameter of a statement, or a piece of its result. Null is monostate.
/// Lists occur only in results (a Redis array).
struct Value {
  std::variant<std::monostate, bool, int64_t, double, std::string, Blob, std::vector<Value>>
      held;
  friend bool operator==(const Value&, const Value&) = default;
};

/// One statement: SQL for postgres ($1, $2) and sqlite (?1, ?2, or $1), a
/// redis-cli line for redis (whose params replace arguments $1, $2 whole).
struct Statement {
  std::string text;
  std::vector<Value> params;
  /// The statement must touch exactly this many rows, else the branch votes no.
  std::optional<int64_t> expect_rows;
};

struct StatementResult {
  /// Rows inserted, updated, deleted or returned; none where the store does not say.
  std::optional<int64_t> rows;
  /// SQL: one list Value per returned row. Redis: the one reply.
  std::vector<Value> values;
  friend bool operator==(const StatementResult&, const StatementResult&) = default;
};

/// Opaque to everyone but the adapter that made it; at most 256 bytes. It is
/// made with a yes vote, kept in the decision log, and comes back with commit
/// and roll back.
using Token = std::string;

enum class VoteKind {
  kYes,       // prepared, durably
  kReadOnly,  // nothing to commit; takes no part in the second phase
  kNo,        // refused; the branch is gone already and needs no roll back
  kUnknown,   // no answer. Not a no: the branch may be prepared
};

struct Vote {
  VoteKind kind = VoteKind::kUnknown;
  Token token;         // with kYes
  std::string reason;  // with kNo and kUnknown: one line for a person
};

enum class AckKind {
  kDone,       // done, now or by an earlier call
  kRetry,      // not known to be done: ask again
  kHeuristic,  // the branch was resolved against this decision, or is lost
};

struct Ack {
  AckKind kind = AckKind::kRetry;
  std::string reason;  // with kRetry and kHeuristic: one line for a person
};

struct PrepareReply {
  Vote vote;
  std::vector<StatementResult> results;  // of all of the branch's statements so far
};

/// How a one-phase commit ended.
enum class OnePhaseKind { kCommitted, kRolledBack, kUnknown };
struct OnePhaseReply {
  OnePhaseKind kind = OnePhaseKind::kUnknown;
  std::string reason;
  std::vector<StatementResult> results;
};

/// A branch as a participant lists it: prepared and undecided there.
struct PreparedBranch {
  BranchId id;
  Token token;
  friend auto operator<=>(const PreparedBranch&, const PreparedBranch&) = default;
};

/// What a preflight found. Problems break the promise of a yes vote (the
/// participant is refused); warnings are shown with every outcome.
struct PreflightReport {
  std::string version;                // of the store, e.g. "PostgreSQL 15.18"
  std::vector<std::string> problems;  // each names the setting and the remedy
  std::vector<std::string> warnings;
  std::vector<std::string> notes;  // worth knowing, breaks nothing
};

using WorkCallback = std::function<void(Result<std::vector<StatementResult>>)>;
using PrepareCallback = std::function<void(PrepareReply)>;
using OnePhaseCallback = std::function<void(OnePhaseReply)>;
using AckCallback = std::function<void(Ack)>;

/// One transaction's work at one participant, before its vote. Calls follow each
/// other: none before the last one's callback. Destroying a branch that did not
/// prepare rolls its work back (in the background). It may be destroyed within a callback,
/// and while the call that brought this one still returns on another thread: once a callback
/// may have run, an adapter touches the branch no more. Thread-compatible.
class Branch {
 public:
  virtual ~Branch() = default;

  /// Runs statements and returns their results; the branch sees its own writes.
  /// An error ends the branch: its work is rolled back and Prepare votes no.
  virtual void Work(std::vector<Statement> statements, WorkCallback done) = 0;

  /// Runs `last` and then prepares, in as few round trips as the store allows.
  virtual void Prepare(std::vector<Statement> last, PrepareCallback done) = 0;

  /// Runs `last` and commits at once, for a transaction with one participant.
  virtual void CommitOnePhase(std::vector<Statement> last, OnePhaseCallback done) = 0;
};

class LastResource;

/// A store that takes part. Thread-safe.
class Participant {
 public:
  virtual ~Participant() = default;

  /// The name in the configuration; the bqual of its branches.
  virtual const std::string& name() const = 0;
  /// "postgres", "redis", "sqlite".
  virtual std::string kind() const = 0;

  /// Connects and looks whether this store can keep the promise. Blocks, at most
  /// until `deadline`. kUnavailable when it cannot be reached, kInvalidArgument
  /// for a wrong configuration; what it found wrong is in the report.
  virtual Result<PreflightReport> Preflight(TimePoint deadline) = 0;

  /// Opens a branch of `gid`. Nothing is sent yet. Work and Prepare give up at
  /// `deadline` (before the vote is sent; then the vote is unknown).
  virtual std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline) = 0;

  /// Tells a prepared branch the decision. Idempotent, over restarts too. The
  /// attempt gives up at `deadline` with kRetry. `token` is that of the yes vote;
  /// for Rollback it may be empty (unknown). Rollback of a branch that is not
  /// there is done. While a Prepare of the same branch is unanswered, Rollback
  /// takes effect after it.
  virtual void Commit(const Gid& gid, const Token& token, TimePoint deadline,
                      AckCallback done) = 0;
  virtual void Rollback(const Gid& gid, const Token& token, TimePoint deadline,
                        AckCallback done) = 0;

  /// All prepared, undecided branches of indoubt at this store, those of other
  /// nodes, logs and participant names included, never another program's. Blocks until
  /// `deadline`.
  virtual Result<std::vector<PreparedBranch>> ListPrepared(TimePoint deadline) = 0;

  /// The transaction has ended everywhere: what the store still keeps of it (an
  /// outcome record) may go. Called for a heuristic outcome only when a person has
  /// forgotten it. Best effort, in the background; what was asked for before the
  /// destructor is still tried, once.
  virtual void Forget(const Gid& gid) = 0;

  /// The gids of `node` of which the store still keeps an outcome record (see Forget) of a
  /// branch of this participant's; kMostOutcomes at most, so that the rest is listed once
  /// these have been forgotten. Blocks until `deadline`. None where a store keeps none.
  static constexpr size_t kMostOutcomes = 65536;
  virtual Result<std::vector<Gid>> ListOutcomes(std::string_view node, TimePoint deadline) {
    static_cast<void>(node);
    static_cast<void>(deadline);
    return std::vector<Gid>{};
  }

  /// What it offers as a last resource (last_resource.h); null when it is none.
  virtual LastResource* last_resource() { return nullptr; }
};

}  // namespace indoubt
