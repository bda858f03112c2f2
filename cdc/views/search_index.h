// A full-text index (SQLite FTS5) over the words of one table, kept by triggers: whatever
// changes the table changes the index, in the same SQLite transaction. Its content is the
// table's own (an external content table), so no text is stored twice. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// "<table>_search", the table to MATCH against.
std::string SearchIndexName(const std::string& table);

/// Ok when the SQLite that this process runs on has FTS5; kUnsupported otherwise.
Status CheckFts5();

/// Which columns of `table` are indexed: those of `asked` ("<table>.<column>") that are its
/// own, or, when `asked` is empty, all that hold words. kRefused names one that the table does
/// not have, or whose name FTS5 keeps for itself.
Result<std::vector<std::string>> SearchedColumns(const SqlTable& table,
                                                 const std::vector<std::string>& asked);

/// Makes the index over `columns` of the table, which FollowTable made as searched, or makes it
/// anew and fills it when it was over others; none over no columns. Part of the caller's
/// transaction, as are the others. kRefused when its name is another table's.
Status FollowSearchIndex(SqliteDatabase& db, const std::string& table,
                         const std::vector<std::string>& columns);

/// Removes the index of the table, if it has one.
Status DropSearchIndex(SqliteDatabase& db, const std::string& table);

/// Gives the table, which has no index, one as the attached database `schema` has it, filled.
Status CopySearchIndex(SqliteDatabase& db, const std::string& schema, const std::string& table);

/// kCorrupt when the index, if there is one, does not hold exactly the table's words.
Status CheckSearchIndex(SqliteDatabase& db, const std::string& table);

}  // namespace indoubt::cdc_internal
