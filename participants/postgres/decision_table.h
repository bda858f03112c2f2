// The decision table of a PostgreSQL last resource: its SQL, and how a row names branches.
//
//   schema indoubt, owned by the participant's role, made by the first preflight
//   home       one row: the table's random identity (Gid::home)
//   decisions  gid (primary key), decision 'commit' or 'abort', branches, decided_at
//   floors     log (primary key), incarnation, number: no commit of a smaller gid of that
//              log gets through any more; raised_by, the transaction that said so
//
// Why an abort row may go. It is there for a commit that comes late: of a client that is
// dead, or out of a queue on the way. Once the floor above its gid is committed, every
// statement that begins later sees the floor and writes no commit row. One that began
// earlier has a snapshot from before, and shows it: its session's backend_xmin is not above
// raised_by. So an abort row below the floor may go when no session of this database has
// such a snapshot, whoever sends what from where.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "participants/decision.h"
#include "participants/postgres/connection.h"

namespace indoubt::pg {

/// "stock:6f6b ledger:": names, each with its token in hexadecimal.
std::string EncodeBranches(const std::vector<BranchRecord>& branches);
/// None when `text` is nothing that EncodeBranches gives.
std::optional<std::vector<BranchRecord>> DecodeBranches(std::string_view text);

/// Writes the commit row of `gid`. Fails on an abort row, below the floor, and where a
/// commit would not be durable.
Command InsertCommitRow(const Gid& gid, const std::vector<BranchRecord>& branches);
/// Writes an abort row unless a row is there; waits for a transaction that is writing one.
Command InsertAbortRow(const Gid& gid);
/// decision, branches
Command SelectRow(const Gid& gid);
/// gid, branches: the commit rows of a log but for one incarnation's; `limit` at most.
Command SelectCommitRows(std::string_view node, const LogId& log, uint32_t incarnation,
                         int limit);
Command DeleteCommitRows(const std::vector<Gid>& gids);
/// Raises the floor of `floor`'s log to `floor`; leaves a higher one.
Command RaiseFloor(const Gid& floor);
/// gid: abort rows of a log, the first `limit`.
Command SelectAbortRows(std::string_view node, const LogId& log, int limit);
/// Deletes abort rows below the floor of `log`, unless somebody may still run into them.
Command DeleteAbortRows(const LogId& log, const std::vector<Gid>& gids);

}  // namespace indoubt::pg
