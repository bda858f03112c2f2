// The tables that the SQLite participant keeps in a managed file, for those who
// look at them from outside (an observer, a person with the sqlite3 shell).
// Everything else about them is docs/sqlite.md.
#pragma once

#include <string_view>

namespace indoubt {

inline constexpr std::string_view kSqliteBranchTable = "indoubt_branch";
inline constexpr std::string_view kSqliteLockTable = "indoubt_lock";
inline constexpr std::string_view kSqliteOutcomeTable = "indoubt_outcome";

namespace sqlite_schema {

/// One row a prepared, undecided branch. `prepared_ns` is CLOCK_MONOTONIC;
/// `changes` is what commit applies; `redo` says the same as SQL for a person.
inline constexpr std::string_view kBranchTable =
    "CREATE TABLE indoubt_branch(gid TEXT NOT NULL, participant TEXT NOT NULL, "
    "token TEXT NOT NULL, prepared_ns INTEGER NOT NULL, fingerprint TEXT NOT NULL, "
    "changes BLOB NOT NULL, redo TEXT NOT NULL, PRIMARY KEY(gid, participant)) WITHOUT ROWID";

/// One row a lock. `space` is "table(columns)", `key` the values there; `mode` is
/// 'x' (the key is changed), 'g' (a parent key goes away) or 'r' (a parent key is
/// referenced and must stay).
inline constexpr std::string_view kLockTable =
    "CREATE TABLE indoubt_lock(space TEXT NOT NULL, key NOT NULL, mode TEXT NOT NULL, "
    "gid TEXT NOT NULL, participant TEXT NOT NULL, "
    "PRIMARY KEY(space, key, mode, gid, participant)) WITHOUT ROWID";
inline constexpr std::string_view kLockIndex =
    "CREATE INDEX indoubt_lock_by_gid ON indoubt_lock(gid, participant)";

/// How a branch ended, until its transaction is forgotten: outcome 'committed' or
/// 'heuristic' (then with the reason and the redo that could not be applied).
inline constexpr std::string_view kOutcomeTable =
    "CREATE TABLE indoubt_outcome(gid TEXT NOT NULL, participant TEXT NOT NULL, "
    "outcome TEXT NOT NULL, reason TEXT, redo TEXT, PRIMARY KEY(gid, participant)) "
    "WITHOUT ROWID";

/// What every other writer is told when a trigger holds it off. (A literal: the
/// RAISE of SQLite before 3.47 takes no expression, so the gid cannot be in it.)
inline constexpr std::string_view kLockedMessage =
    "indoubt: row is locked by an in-doubt transaction (its gid is in table indoubt_lock)";

}  // namespace sqlite_schema
}  // namespace indoubt
