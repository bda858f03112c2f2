#include "cdc/views/sqlite_table.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace indoubt::cdc_internal {
namespace {

Status MakeTable(SqliteDatabase& db, const SqlTable& table, bool searched) {
  std::vector<std::string> parts;
  std::vector<std::string> keys;
  if (searched) parts.push_back(QuotedName(kDocId) + " INTEGER PRIMARY KEY");
  for (const SqlTable::Column& column : table.columns) {
    // As an INTEGER PRIMARY KEY a NULL, which a row that is its own key may hold, would become
    // a number of SQLite's own.
    const bool alone = table.columns.size() == 1 && column.type == "INTEGER";
    parts.push_back(QuotedName(column.name) + " " + (alone ? "INT" : column.type));
    if (column.key) keys.push_back(QuotedName(column.name));
  }
  if (!keys.empty()) {
    parts.push_back(
        fmt::format("{} ({})", searched ? "UNIQUE" : "PRIMARY KEY", fmt::join(keys, ", ")));
  }
  return db.Execute(fmt::format("CREATE TABLE IF NOT EXISTS {} ({})", QuotedName(table.name),
                                fmt::join(parts, ", ")));
}

Result<bool> HasColumn(SqliteDatabase& db, const std::string& table,
                       const std::string& column) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery present,
                           db.Prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2"));
  present.BindText(1, table);
  present.BindText(2, column);
  return present.Next();
}

Status AddMissingColumns(SqliteDatabase& db, const SqlTable& table) {
  for (const SqlTable::Column& column : table.columns) {
    INDOUBT_ASSIGN_OR_RETURN(const bool found, HasColumn(db, table.name, column.name));
    if (found) continue;
    if (column.key) {
      return Status(StatusCode::kUnsupported,
                    fmt::format("the source's key of table {} now has column {}, which the "
                                "view's table cannot take into its own; rebuild the view",
                                table.name, column.name));
    }
    INDOUBT_RETURN_IF_ERROR(
        db.Execute(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", QuotedName(table.name),
                               QuotedName(column.name), column.type)));
  }
  return Status::Ok();
}

}  // namespace

Status FollowTable(SqliteDatabase& db, const SqlTable& table, bool searched) {
  INDOUBT_RETURN_IF_ERROR(MakeTable(db, table, searched));
  return AddMissingColumns(db, table);
}

}  // namespace indoubt::cdc_internal
