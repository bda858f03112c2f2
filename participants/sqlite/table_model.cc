#include "participants/sqlite/table_model.h"

#include <algorithm>

#include <fmt/format.h>

#include "participants/sqlite/table_reader.h"

namespace indoubt::sqlite {
namespace {

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
    const std::string id = fmt::format("{} {}", IntegerOf(row[1]), TextOf(row[0]));
    if (id != last) keys.push_back({TextOf(row[0]), TextOf(row[2]), {}, {}});
    last = id;
    keys.back().from.push_back(TextOf(row[3]));
    if (!IsNull(row[4])) keys.back().to.push_back(TextOf(row[4]));
    for (size_t action : {5u, 6u}) {
      const std::string name = TextOf(row[action]);
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
    auto table = ReadTable(connection, relative, false);
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
    return RefusedTable(raw.child,
                        "its foreign key to " + raw.parent + " matches no key there");
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
  model.schema_version = IntegerOf(version[0][0]);
  std::string refused;  // all of them at once, so that one look is enough
  for (const std::string& name : managed) {
    auto table = ReadTable(connection, name, true);
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
