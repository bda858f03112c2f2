// Whether each promise was durable before anybody was told of it, judged from a trace
// of the process that gave it: "written, then synced, then said".
#pragma once

#include <string>
#include <vector>

#include "base/gid.h"
#include "tests/support/trace_events.h"

namespace indoubt::testing {

/// What the traces say of a list of transactions.
struct OrderReport {
  std::vector<std::string> held;        // one line each: what was checked, and where
  std::vector<std::string> violations;  // one line each: what was said too early, or not seen

  /// Adds one promise: `written` holds it, `told` says it, and a sync of the written
  /// file must lie between the two. A missing event (null) is a violation.
  void Judge(const std::string& promise, const std::vector<TraceEvent>& events,
             const TraceEvent* written, const TraceEvent* told);
};

/// Redis: the intent in the append-only file, before the reply to the call that
/// prepares. `events` are the server's.
OrderReport CheckRedisVotes(const std::vector<TraceEvent>& events,
                            const std::vector<BranchId>& branches);

/// PostgreSQL: the PREPARE record in the WAL, written and synced by whichever process,
/// before the backend's reply "PREPARE TRANSACTION". `events` are those of the
/// postmaster and all its children.
OrderReport CheckPostgresVotes(const std::vector<TraceEvent>& events,
                               const std::vector<BranchId>& branches);

/// SQLite: the WAL up to the commit frame of the SQLite transaction that staged the
/// branch, before the decision log's record of the commit, or before a last resource is
/// asked to commit (the vote itself passes no system call). `events` are the coordinator's.
OrderReport CheckSqliteVotes(const std::vector<TraceEvent>& events,
                             const std::vector<BranchId>& branches);

/// Whose branches a decision is about.
struct DecidedTransaction {
  BranchId postgres, redis, sqlite;
};

/// The decision log: the commit record, before the first commit call to any store and
/// before the answer to the client. All four must be there. `events` are the
/// coordinator's.
OrderReport CheckDecisions(const std::vector<TraceEvent>& events,
                           const std::vector<DecidedTransaction>& transactions);

/// A last resource's decision row: in the WAL, written and synced by whichever process,
/// before the backend's reply to the COMMIT that carries it. `events` as for
/// CheckPostgresVotes.
OrderReport CheckDecisionRows(const std::vector<TraceEvent>& events,
                              const std::vector<BranchId>& branches);

/// The same decisions as the coordinator sees them: PostgreSQL has acknowledged the COMMIT
/// before the first commit call to any other store and before the answer to the client.
/// `events` are the coordinator's.
OrderReport CheckLastResourceDecisions(const std::vector<TraceEvent>& events,
                                       const std::vector<DecidedTransaction>& transactions);

}  // namespace indoubt::testing
