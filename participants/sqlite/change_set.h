// The net effect of a branch on the managed tables: which rows were, which rows
// shall be. It is what a prepare stores and a commit applies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "participants/sqlite/table_model.h"

namespace indoubt::sqlite {

/// One row's net change: insert (no before), delete (no after) or update, the
/// primary key being the same in both.
struct RowChange {
  std::string table;
  std::optional<Row> before, after;
  friend bool operator==(const RowChange&, const RowChange&) = default;
};
using ChangeSet = std::vector<RowChange>;

/// Bytes for table indoubt_branch (the format: docs/sqlite.md).
std::string EncodeChanges(const ChangeSet& changes);
/// kCorrupt when the bytes are not EncodeChanges' own.
Result<ChangeSet> DecodeChanges(std::string_view bytes);

/// The same as SQL statements in apply's order, one a line, for a person.
std::string RedoSql(const DatabaseModel& model, const ChangeSet& changes);

/// Applies the changes in the open transaction: deletes, updates, inserts. An
/// update of a UNIQUE value is a delete and an insert, so that rows can swap
/// values. kAborted when a row is not as `before` says, or a constraint is in the
/// way; other codes are SQLite's troubles.
Status ApplyChanges(Connection& connection, const DatabaseModel& model,
                    const ChangeSet& changes);

/// The fingerprints of the tables in `changes`, joined.
std::string FingerprintOf(const DatabaseModel& model, const ChangeSet& changes);

}  // namespace indoubt::sqlite
