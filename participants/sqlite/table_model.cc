#include "participants/sqlite/table_model.h"

#include <algorithm>

#include <fmt/format.h>
#include <strings.h>

#include "participants/sqlite/check_constraints.h"

namespace indoubt::sqlite {
namespace {

std::string Text(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::string();
}

int64_t Integer(const SqlValue& value) {
  const auto* number = std::get_if<int64_t>(&value);
  return number ? *number : 0;
}

bool SameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

Status Refused(const std::string& table, std::string_view why) {
  return Status(StatusCode::kRefused, fmt::format("table {}: {}", table, why));
}

/// REAL affinity by SQLite's rules (datatype3.html, 3.1): INT wins over the rest,
/// then the text and blob names.
bool HasRealAffinity(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(), ::toupper);
  const auto has = [&](const char* part) { return type.find(part) != std::string::npos; };
  if (has("INT") || has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB")) return false;
  return has("REAL") || has("FLOA") || has("DOUB");
}

int ColumnIndex(const TableModel& table, std::string_view name) {
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (SameName(table.columns[i].name, name)) return static_cast<int>(i);
  }
  return -1;
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
    if (Integer(row[3]) != 0) {
      return Refused(table.name,
                     fmt::format("column {} is generated or hidden, which cannot be "
                                 "captured; take the column out",
                                 Text(row[0])));
    }
    table.columns.push_back({Text(row[0]), Text(row[1]), HasRealAffinity(Text(row[1])),
                             static_cast<int>(Integer(row[2]))});
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
    const std::string collation = Text(row[1]);
    const bool known = SameName(collation, "BINARY") || SameName(collation, "NOCASE") ||
                       SameName(collation, "RTRIM");
    if (Integer(row[0]) < 0 || !known) {
      return Refused(table.name, fmt::format("unique index {} is on an expression or has a "
                                             "collation of its own, which cannot be locked; "
                                             "drop the index",
                                             index));
    }
    key.columns.push_back(static_cast<int>(Integer(row[0])));
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
    return Refused(table.name,
                   "it has no primary key, so a row cannot be found again; give it one");
  }
  const SqlValue name = table.name;
  INDOUBT_ASSIGN_OR_RETURN(auto indexes,
                           connection.Query("SELECT name, origin FROM pragma_index_list(?1) "
                                            "WHERE \"unique\" = 1 ORDER BY name",
                                            {&name, 1}));
  for (const Row& index : indexes) {
    INDOUBT_RETURN_IF_ERROR(
        LoadIndexKey(connection, Text(index[0]), Text(index[1]) == "pk", table));
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

Result<TableModel> LoadTable(Connection& connection, const std::string& wanted, bool managed) {
  const SqlValue name = wanted;
  INDOUBT_ASSIGN_OR_RETURN(
      auto found, connection.Query("SELECT name, type, sql FROM sqlite_master WHERE name = ?1 "
                                   "COLLATE NOCASE AND type IN ('table', 'view')",
                                   {&name, 1}));
  if (found.empty()) return Refused(wanted, "it does not exist in this file; create it first");
  TableModel table;
  table.name = Text(found[0][0]);
  table.managed = managed;
  const std::string sql = Text(found[0][2]);
  if (Text(found[0][1]) == "view" || SameName(sql.substr(0, 14), "CREATE VIRTUAL")) {
    return Refused(wanted, "it is a view or a virtual table; only plain tables can be managed");
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
  table.user_triggers = Integer(triggers[0][0]) > 0;
  BuildStatements(table);
  BuildFingerprint(table);
  return table;
}

struct RawForeignKey {
  std::string child, parent;
  std::vector<std::string> from, to;
  bool acts = false;  // CASCADE, SET NULL or SET DEFAULT
};

Result<std::vector<RawForeignKey>> LoadRawForeignKeys(Connection& connection) {
  INDOUBT_ASSIGN_OR_RETURN(
      auto rows,
      connection.Query("SELECT m.name, f.id, f.\"table\", f.\"from\", f.\"to\", f.on_update, "
                       "f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f "
                       "WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq"));
  std::vector<RawForeignKey> keys;
  std::string last;
  for (const Row& row : rows) {
    const std::string id = fmt::format("{} {}", Integer(row[1]), Text(row[0]));
    if (id != last) keys.push_back({Text(row[0]), Text(row[2]), {}, {}});
    last = id;
    keys.back().from.push_back(Text(row[3]));
    if (!IsNull(row[4])) keys.back().to.push_back(Text(row[4]));
    for (size_t action : {5u, 6u}) {
      const std::string name = Text(row[action]);
      if (name != "NO ACTION" && name != "RESTRICT") keys.back().acts = true;
    }
  }
  return keys;
}

TableModel* FindMutable(DatabaseModel& model, std::string_view name) {
  for (TableModel& table : model.tables) {
    if (SameName(table.name, name)) return &table;
  }
  return nullptr;
}

Status AddForeignKey(Connection& connection, const RawForeignKey& raw, DatabaseModel& model) {
  for (const std::string& relative : {raw.child, raw.parent}) {
    if (FindMutable(model, relative) != nullptr) continue;
    auto table = LoadTable(connection, relative, false);
    // A parent that does not exist makes every such insert fail; nothing to guard.
    if (!table.has_value() && SameName(relative, raw.parent)) return Status::Ok();
    if (!table.has_value()) return table.error();
    model.tables.push_back(std::move(*table));
  }
  TableModel& child = *FindMutable(model, raw.child);
  TableModel& parent = *FindMutable(model, raw.parent);
  ForeignKey key;
  key.parent = parent.name;
  for (const std::string& name : raw.from) key.columns.push_back(ColumnIndex(child, name));
  for (const std::string& name : raw.to)
    key.parent_columns.push_back(ColumnIndex(parent, name));
  if (raw.to.empty() && !parent.keys.empty()) key.parent_columns = parent.PrimaryKey();
  const bool broken = key.columns.size() != key.parent_columns.size() ||
                      std::count(key.columns.begin(), key.columns.end(), -1) > 0 ||
                      std::count(key.parent_columns.begin(), key.parent_columns.end(), -1) > 0;
  if (broken)
    return Refused(raw.child, "its foreign key to " + raw.parent + " matches no key there");
  for (UniqueKey& unique : parent.keys) {
    std::vector<int> a = unique.columns, b = key.parent_columns;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    if (a == b) unique.referenced = true;
  }
  child.foreign_keys.push_back(std::move(key));
  model.needs_neutral_apply = true;
  return Status::Ok();
}

}  // namespace

const TableModel* DatabaseModel::Find(std::string_view name) const {
  for (const TableModel& table : tables) {
    if (SameName(table.name, name)) return &table;
  }
  return nullptr;
}

Result<DatabaseModel> LoadModel(Connection& connection,
                                const std::vector<std::string>& managed) {
  DatabaseModel model;
  INDOUBT_ASSIGN_OR_RETURN(auto version, connection.Query("PRAGMA schema_version"));
  model.schema_version = Integer(version[0][0]);
  std::string refused;  // all of them at once, so that one look is enough
  for (const std::string& name : managed) {
    auto table = LoadTable(connection, name, true);
    if (!table.has_value() && table.error().code() == StatusCode::kRefused) {
      refused += (refused.empty() ? "" : "; ") + table.error().message();
      continue;
    }
    INDOUBT_RETURN_IF_ERROR(table.status());
    model.needs_neutral_apply |= table->user_triggers;
    if (model.Find(table->name) == nullptr) model.tables.push_back(std::move(*table));
  }
  if (!refused.empty()) return Status(StatusCode::kRefused, refused);
  INDOUBT_ASSIGN_OR_RETURN(auto foreign_keys, LoadRawForeignKeys(connection));
  for (const RawForeignKey& raw : foreign_keys) {
    const TableModel* child = model.Find(raw.child);
    const TableModel* parent = model.Find(raw.parent);
    const bool ours =
        (child != nullptr && child->managed) || (parent != nullptr && parent->managed);
    if (ours) INDOUBT_RETURN_IF_ERROR(AddForeignKey(connection, raw, model));
  }
  return model;
}

std::string KeyExpression(const UniqueKey& key, const std::vector<std::string>& operands) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < operands.size(); ++i) {
    const std::string& operand = operands[i];
    std::string part = "+" + operand;  // the plus takes the column's affinity away
    if (SameName(key.collations[i], "NOCASE")) {
      part = fmt::format("CASE typeof({0}) WHEN 'text' THEN lower({0}) ELSE +{0} END", operand);
    } else if (SameName(key.collations[i], "RTRIM")) {
      part = fmt::format("CASE typeof({0}) WHEN 'text' THEN rtrim({0}) ELSE +{0} END", operand);
    }
    parts.push_back(std::move(part));
  }
  if (parts.size() == 1) return "(" + parts[0] + ")";
  std::string joined;
  for (const std::string& part : parts) {
    // 5 and 5.0 are one value to an index; quote() tells them apart, so level them.
    const std::string level = fmt::format(
        "CASE WHEN typeof({0}) = 'real' AND ({0}) = CAST(({0}) AS INTEGER) "
        "THEN quote(CAST(({0}) AS INTEGER)) ELSE quote({0}) END",
        part);
    joined += joined.empty() ? level : " || ',' || " + level;
  }
  return "(" + joined + ")";
}

}  // namespace indoubt::sqlite
