// The tables that the adapter keeps in a user's database file, and its triggers.
// docs/sqlite.md says how to live with them from the sqlite3 shell.
#pragma once

#include <string_view>

namespace indoubt {

/// One row a prepared, undecided branch: id ("idt:gid:participant"), its changeset,
/// a fingerprint of the schema that it was made under.
inline constexpr std::string_view kSqliteBranchTable = "indoubt_branch";
/// One row a key that a prepared branch holds: (tbl, idx, key, branch, mode); mode
/// "x" for rows it changes, "s" for parents that its rows refer to.
inline constexpr std::string_view kSqliteLockTable = "indoubt_lock";
/// Branches that were committed, until their transaction has ended everywhere.
inline constexpr std::string_view kSqliteOutcomeTable = "indoubt_outcome";
/// What every trigger of the adapter is called: this and the table's name.
inline constexpr std::string_view kSqliteTriggerPrefix = "indoubt_guard_";

}  // namespace indoubt
