// The foreign keys of a branch's changed rows: the parents that they point to, and whether
// they hold where SQLite itself did not look.
#pragma once

#include "participants/sqlite/change_set.h"

namespace indoubt::sqlite {

/// Whether the changed row points to a parent to which it did not point before.
bool PointsAnew(const ForeignKey& foreign, const RowChange& change);

/// The row that `child` points to by `foreign`, as the file is now: one or none.
Result<std::vector<Row>> ParentOf(Connection& connection, const DatabaseModel& model,
                                  const ForeignKey& foreign, const Row& child);

/// Ok when the foreign keys hold of `changes`, all of which are in the file; kAborted when a
/// changed row points to no parent, or a row still points to a parent key that has gone.
/// Takes a look-up a key, and a scan of the child for a parent key that goes where the child
/// has no index on it, as SQLite's own check does.
Status CheckForeignKeys(Connection& connection, const DatabaseModel& model,
                        const ChangeSet& changes);

}  // namespace indoubt::sqlite
