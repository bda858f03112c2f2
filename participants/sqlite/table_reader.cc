#include "participants/sqlite/table_reader.h"

#include <algorithm>

#include <fmt/format.h>
#include <strings.h>

#include "participants/sqlite/check_constraints.h"

namespace indoubt::sqlite {

std::string TextOf(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::string();
}

int64_t IntegerOf(const SqlValue& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number ? *number : 0;
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

Status RefusedTable(const std::string& table, std::string_view why) {
  return Status(StatusCode::kRefused, fmt::format("table {}: {}", table, why));
}

int ColumnIndex(const TableModel& table, std::string_view name) {
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (SameName(table.columns[i].name, name)) return static_cast<int>(i);
  }
  return -1;
}

namespace {

/// REAL affinity by SQLite's rules (datatype3.html, 3.1): INT wins over the rest,
/// then the text and blob names.
bool HasRealAffinity(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(), ::toupper);
  const auto has = [&](const char* part) { return type.find(part) != std::string::npos; };
  if (has("INT") || has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB")) return false;
  return has("REAL") || has("FLOA") || has("DOUB");
}

std::string SpaceOf(const TableModel& table, const std::vector<int>& columns) {
  std::string space = table.name + "(";
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) space += ",";
    space += table.columns[static_cast<size_t>(columns[i])].name;
  }
  return space + ")";
}

Status LoadColumns(Connection& connection, TableModel& table) {
  const SqlValue name = table.name;
  INDOUBT_ASSIGN_OR_RETURN(
      auto rows, connection.Query("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1) "
                                  "ORDER BY cid",
                                  {&name, 1}));
  for (const Row& row : rows) {
    if (IntegerOf(row[3]) != 0) {
      return RefusedTable(table.name,
                          fmt::format("column {} is generated or hidden, which cannot be "
                                      "captured; take the column out",
                                      TextOf(row[0])));
    }
    table.columns.push_back({TextOf(row[0]), TextOf(row[1]), HasRealAffinity(TextOf(row[1])),
                             static_cast<int>(IntegerOf(row[2]))});
  }
  return Status::Ok();
}

UniqueKey DeclaredPrimaryKey(const TableModel& table) {
  UniqueKey key;
  for (int position = 1;; ++position) {
    const auto found =
        std::find_if(table.columns.begin(), table.columns.end(),
                     [&](const Column& column) { return column.key_position == position; });
    if (found == table.columns.end()) break;
    key.columns.push_back(static_cast<int>(found - table.columns.begin()));
    key.collations.emplace_back("BINARY");
  }
  key.space = SpaceOf(table, key.columns);
  return key;
}

Status LoadIndexKey(Connection& connection, const std::string& index, bool primary,
                    TableModel& table) {
  const SqlValue name = index;
  INDOUBT_ASSIGN_OR_RETURN(
      auto rows, connection.Query("SELECT cid, coll FROM pragma_index_xinfo(?1) WHERE key = 1 "
                                  "ORDER BY seqno",
                                  {&name, 1}));
  UniqueKey key;
  for (const Row& row : rows) {
    const std::string collation = TextOf(row[1]);
    const bool known = SameName(collation, "BINARY") || SameName(collation, "NOCASE") ||
                       SameName(collation, "RTRIM");
    if (IntegerOf(row[0]) < 0 || !known) {
      return RefusedTable(table.name,
                          fmt::format("unique index {} is on an expression or has a "
                                      "collation of its own, which cannot be locked; "
                                      "drop the index",
                                      index));
    }
    key.columns.push_back(static_cast<int>(IntegerOf(row[0])));
    key.collations.push_back(collation);
  }
  key.space = SpaceOf(table, key.columns);
  if (primary && !table.keys.empty()) {
    table.keys.front() = std::move(key);
    return Status::Ok();
  }
  // An index that repeats another locks nothing more. One on the same columns with other
  // collations holds other values for equal, and so has a space of its own.
  for (UniqueKey& other : table.keys) {
    if (other.columns == key.columns && other.collations == key.collations) return Status::Ok();
    if (other.space == key.space) key.space += "/" + index;
  }
  table.keys.push_back(std::move(key));
  return Status::Ok();
}

Status LoadKeys(Connection& connection, TableModel& table) {
  UniqueKey primary = DeclaredPrimaryKey(table);
  if (!primary.columns.empty()) table.keys.push_back(std::move(primary));
  if (table.managed && table.keys.empty()) {
    return RefusedTable(table.name,
                        "it has no primary key, so a row cannot be found again; give it one");
  }
  const SqlValue name = table.name;
  INDOUBT_ASSIGN_OR_RETURN(
      auto indexes, connection.Query("SELECT name, origin, partial FROM pragma_index_list(?1) "
                                     "WHERE \"unique\" = 1 ORDER BY name",
                                     {&name, 1}));
  for (const Row& index : indexes) {
    table.partial_unique |= IntegerOf(index[2]) != 0;
    INDOUBT_RETURN_IF_ERROR(
        LoadIndexKey(connection, TextOf(index[0]), TextOf(index[1]) == "pk", table));
  }
  return Status::Ok();
}

void BuildStatements(TableModel& table) {
  std::string names, marks, sets, where_old, where_new, where_key;
  const size_t count = table.columns.size();
  for (size_t i = 0; i < count; ++i) {
    const Column& column = table.columns[i];
    const std::string name = QuoteName(column.name);
    const char* comma = i > 0 ? "," : "";
    const char* conjunction = i > 0 ? " AND " : "";
    const char* equals = column.key_position > 0 ? "=" : " IS ";
    names += fmt::format("{}{}", comma, name);
    marks += fmt::format("{}?{}", comma, i + 1);
    sets += fmt::format("{}{}=?{}", comma, name, i + 1);
    where_old += fmt::format("{}{}{}?{}", conjunction, name, equals, i + 1);
    where_new += fmt::format("{}{}{}?{}", conjunction, name, equals, count + i + 1);
    if (column.key_position > 0) {
      where_key += fmt::format("{}{}=?{}", where_key.empty() ? "" : " AND ", name, i + 1);
    }
  }
  const std::string quoted = QuoteName(table.name);
  table.insert_sql = fmt::format("INSERT INTO {}({}) VALUES({})", quoted, names, marks);
  table.update_sql = fmt::format("UPDATE {} SET {} WHERE {}", quoted, sets, where_new);
  table.delete_sql = fmt::format("DELETE FROM {} WHERE {}", quoted, where_old);
  table.select_sql = fmt::format("SELECT {} FROM {} WHERE {}", names, quoted, where_key);
}

void BuildFingerprint(TableModel& table) {
  std::string& print = table.fingerprint;
  print = table.name + "(";
  for (const Column& column : table.columns) {
    print += fmt::format("{} {} {},", column.name, column.type, column.key_position);
  }
  print += ")";
  for (const UniqueKey& key : table.keys) {
    print += fmt::format(" {}:{}", key.space, fmt::join(key.collations, ","));
  }
}

}  // namespace

Result<TableModel> ReadTable(Connection& connection, const std::string& wanted, bool managed) {
  const SqlValue name = wanted;
  INDOUBT_ASSIGN_OR_RETURN(
      auto found, connection.Query("SELECT name, type, sql FROM sqlite_master WHERE name = ?1 "
                                   "COLLATE NOCASE AND type IN ('table', 'view')",
                                   {&name, 1}));
  if (found.empty())
    return RefusedTable(wanted, "it does not exist in this file; create it first");
  TableModel table;
  table.name = TextOf(found[0][0]);
  table.managed = managed;
  const std::string sql = TextOf(found[0][2]);
  if (TextOf(found[0][1]) == "view" || SameName(sql.substr(0, 14), "CREATE VIRTUAL")) {
    return RefusedTable(wanted,
                        "it is a view or a virtual table; only plain tables can be managed");
  }
  table.unrepeatable_check = UnrepeatableCheck(sql);
  INDOUBT_RETURN_IF_ERROR(LoadColumns(connection, table));
  INDOUBT_RETURN_IF_ERROR(LoadKeys(connection, table));
  INDOUBT_ASSIGN_OR_RETURN(
      auto triggers,
      connection.Query(
          "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = "
          "?1 COLLATE NOCASE AND name NOT LIKE 'indoubt\\_guard\\_%' ESCAPE '\\'",
          {&name, 1}));
  table.user_triggers = IntegerOf(triggers[0][0]) > 0;
  BuildStatements(table);
  BuildFingerprint(table);
  return table;
}

}  // namespace indoubt::sqlite
