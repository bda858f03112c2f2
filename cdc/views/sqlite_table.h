// The tables of a SQLite file that follow the source's shapes. Private to this room.
#pragma once

#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// The number of a row in a table that is searched: it must stay, also over a VACUUM, because
/// the index knows the row by it.
inline constexpr char kDocId[] = "indoubt_docid";

/// Makes `table`, or adds the columns that the view's own lacks; part of the caller's
/// transaction. `searched`: with the column kDocId, beside which the key is UNIQUE.
/// kUnsupported when the key has a new column.
Status FollowTable(SqliteDatabase& db, const SqlTable& table, bool searched);

}  // namespace indoubt::cdc_internal
