// Source: the SQLite manual, "SQLite FTS5 Extension", 4.4.3 External Content Tables, and 6.
#include "cdc/views/search_index.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <strings.h>

#include "cdc/views/sqlite_table.h"

namespace indoubt::cdc_internal {
namespace {

constexpr std::array<const char*, 3> kTriggers{"insert", "update", "delete"};

std::string TriggerName(const std::string& table, const char* of) {
  return SearchIndexName(table) + "_" + of;
}

// FTS5 has a column of each of these names already.
bool IsReserved(const std::string& table, const std::string& column) {
  const std::string index = SearchIndexName(table);
  return strcasecmp(column.c_str(), "rank") == 0 || strcasecmp(column.c_str(), "rowid") == 0 ||
         strcasecmp(column.c_str(), index.c_str()) == 0;
}

std::string Quoted(const std::vector<std::string>& columns, const std::string& before) {
  std::vector<std::string> quoted;
  quoted.reserve(columns.size());
  for (const std::string& column : columns) quoted.push_back(before + QuotedName(column));
  return fmt::format("{}", fmt::join(quoted, ", "));
}

std::string IndexSql(const std::string& table, const std::vector<std::string>& columns) {
  return fmt::format("CREATE VIRTUAL TABLE {} USING fts5({}, content={}, content_rowid={})",
                     QuotedName(SearchIndexName(table)), Quoted(columns, ""), QuotedName(table),
                     QuotedName(kDocId));
}

// The index is told the old words to remove them: it does not keep them itself.
std::vector<std::string> TriggersSql(const std::string& table,
                                     const std::vector<std::string>& columns) {
  const std::string index = QuotedName(SearchIndexName(table));
  const std::string names = Quoted(columns, ""), id = QuotedName(kDocId);
  const std::string add = fmt::format("INSERT INTO {}(rowid, {}) VALUES (new.{}, {});", index,
                                      names, id, Quoted(columns, "new."));
  const std::string remove =
      fmt::format("INSERT INTO {0}({0}, rowid, {1}) VALUES ('delete', old.{2}, {3});", index,
                  names, id, Quoted(columns, "old."));
  const auto trigger = [&](const char* name, const std::string& event,
                           const std::string& body) {
    return fmt::format("CREATE TRIGGER {} AFTER {} ON {} BEGIN {} END",
                       QuotedName(TriggerName(table, name)), event, QuotedName(table), body);
  };
  return {trigger("insert", "INSERT", add),
          trigger("update", "UPDATE OF " + names, remove + " " + add),
          trigger("delete", "DELETE", remove)};
}

// The statement that made the table of this name; empty when there is none.
Result<std::string> SqlOf(SqliteDatabase& db, const std::string& schema, const char* type,
                          const std::string& name) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare(fmt::format("SELECT sql FROM {}.sqlite_master WHERE type = ?1 AND name = ?2",
                             schema)));
  query.BindText(1, type);
  query.BindText(2, name);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  return found ? query.Bytes(0) : std::string();
}

bool IsIndex(const std::string& sql) { return sql.starts_with("CREATE VIRTUAL TABLE "); }

Status Command(SqliteDatabase& db, const std::string& table, const std::string& columns,
               const std::string& values) {
  const std::string index = QuotedName(SearchIndexName(table));
  return db.Execute(
      fmt::format("INSERT INTO main.{0}({0}{1}) VALUES ({2})", index, columns, values));
}

Status Fill(SqliteDatabase& db, const std::string& table) {
  return Command(db, table, "", "'rebuild'");
}

Status Refuse(const SqlTable& table, const std::string& column, const char* why) {
  return Status(StatusCode::kRefused,
                fmt::format("column \"{}\" of table {} cannot be searched: {}; mend the view's "
                            "`columns`",
                            column, table.name, why));
}

}  // namespace

std::string SearchIndexName(const std::string& table) { return table + "_search"; }

Status CheckFts5() {
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(":memory:", SqliteDatabase::Mode::kMemory));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db->Prepare("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  if (found) return Status::Ok();
  return Status(StatusCode::kUnsupported,
                fmt::format("the SQLite library {} has no FTS5, which a search view needs; "
                            "install one that was built with SQLITE_ENABLE_FTS5 (Debian's is)",
                            sqlite3_libversion()));
}

Result<std::vector<std::string>> SearchedColumns(const SqlTable& table,
                                                 const std::vector<std::string>& asked) {
  std::vector<std::string> columns;
  if (asked.empty()) {
    for (const SqlTable::Column& column : table.columns) {
      const bool fits = column.words && !IsReserved(table.name, column.name);
      if (fits) columns.push_back(column.name);
    }
    return columns;
  }
  const std::string prefix = table.name + ".";
  for (const std::string& name : asked) {
    if (!name.starts_with(prefix)) continue;
    const std::string column = name.substr(prefix.size());
    const bool found = std::any_of(table.columns.begin(), table.columns.end(),
                                   [&](const auto& has) { return has.name == column; });
    if (!found) return Refuse(table, column, "the table has none of that name");
    if (IsReserved(table.name, column)) {
      return Refuse(table, column, "SQLite's FTS5 keeps that name for itself");
    }
    columns.push_back(column);
  }
  return columns;
}

Status FollowSearchIndex(SqliteDatabase& db, const std::string& table,
                         const std::vector<std::string>& columns) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string present,
                           SqlOf(db, "main", "table", SearchIndexName(table)));
  if (!present.empty() && !IsIndex(present)) {
    return Status(StatusCode::kRefused,
                  fmt::format("SQLite {} has a table {}, whose name the index of table {} "
                              "needs; give the search view a file of its own, and leave one "
                              "of the two out of it",
                              db.path(), SearchIndexName(table), table));
  }
  const std::string wanted = columns.empty() ? "" : IndexSql(table, columns);
  if (present == wanted) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(DropSearchIndex(db, table));
  if (columns.empty()) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(db.Execute(wanted));
  for (const std::string& trigger : TriggersSql(table, columns)) {
    INDOUBT_RETURN_IF_ERROR(db.Execute(trigger));
  }
  return Fill(db, table);
}

Status DropSearchIndex(SqliteDatabase& db, const std::string& table) {
  for (const char* trigger : kTriggers) {
    INDOUBT_RETURN_IF_ERROR(
        db.Execute("DROP TRIGGER IF EXISTS main." + QuotedName(TriggerName(table, trigger))));
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::string present,
                           SqlOf(db, "main", "table", SearchIndexName(table)));
  if (!IsIndex(present)) return Status::Ok();
  return db.Execute("DROP TABLE main." + QuotedName(SearchIndexName(table)));
}

Status CopySearchIndex(SqliteDatabase& db, const std::string& schema,
                       const std::string& table) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string index,
                           SqlOf(db, schema, "table", SearchIndexName(table)));
  if (!IsIndex(index)) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(db.Execute(index));
  for (const char* name : kTriggers) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string trigger,
                             SqlOf(db, schema, "trigger", TriggerName(table, name)));
    INDOUBT_RETURN_IF_ERROR(db.Execute(trigger));
  }
  return Fill(db, table);
}

Status CheckSearchIndex(SqliteDatabase& db, const std::string& table) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string index,
                           SqlOf(db, "main", "table", SearchIndexName(table)));
  if (!IsIndex(index)) return Status::Ok();
  // With a rank above 0 it is held against the table's rows, too.
  return Command(db, table, ", rank", "'integrity-check', 1");
}

}  // namespace indoubt::cdc_internal
