#include "participants/sqlite/foreign_keys.h"

#include <algorithm>

#include <fmt/format.h>

namespace indoubt::sqlite {
namespace {

const SqlValue& At(const Row& row, int column) { return row[static_cast<size_t>(column)]; }

std::string NameOf(const TableModel& table, int column) {
  return QuoteName(table.columns[static_cast<size_t>(column)].name);
}

/// Under which collation the parent tells its values of `column` apart.
std::string CollationOf(const TableModel& parent, const ForeignKey& foreign, int column) {
  std::vector<int> wanted = foreign.parent_columns;
  std::sort(wanted.begin(), wanted.end());
  for (const UniqueKey& key : parent.keys) {
    std::vector<int> columns = key.columns;
    std::sort(columns.begin(), columns.end());
    if (columns != wanted) continue;
    const auto found = std::find(key.columns.begin(), key.columns.end(), column);
    return key.collations[static_cast<size_t>(found - key.columns.begin())];
  }
  return "BINARY";
}

/// ?index with the affinity that compares it as the parent's column would be. Neither cast
/// changes the value.
std::string Operand(const SqlValue& value, size_t index) {
  if (std::holds_alternative<std::string>(value))
    return fmt::format("CAST(?{} AS TEXT)", index);
  if (std::holds_alternative<Blob>(value)) return fmt::format("?{}", index);
  return fmt::format("CAST(?{} AS NUMERIC)", index);
}

/// Whether a row of `child` that pointed to the parent row `gone` points to none now.
Result<bool> LeavesOrphan(Connection& connection, const TableModel& child,
                          const ForeignKey& foreign, const TableModel& parent,
                          const Row& gone) {
  std::string pointed, points;
  std::vector<SqlValue> values;
  for (size_t i = 0; i < foreign.columns.size(); ++i) {
    const int column = foreign.parent_columns[i];
    values.push_back(At(gone, column));
    if (IsNull(values.back())) return false;  // nothing can point to it
    const char* conjunction = i > 0 ? " AND " : "";
    const std::string name = NameOf(child, foreign.columns[i]);
    pointed += fmt::format("{}{} COLLATE {} = c.{}", conjunction, Operand(values.back(), i + 1),
                           CollationOf(parent, foreign, column), name);
    // The parent's column is on the left, for its collation to count.
    points += fmt::format("{}p.{} = c.{}", conjunction, NameOf(parent, column), name);
  }
  const std::string sql = fmt::format(
      "SELECT 1 FROM {} AS c WHERE {} AND NOT EXISTS (SELECT 1 FROM {} AS p WHERE {}) LIMIT 1",
      QuoteName(child.name), pointed, QuoteName(parent.name), points);
  INDOUBT_ASSIGN_OR_RETURN(const auto rows, connection.Query(sql, values));
  return !rows.empty();
}

Status CheckParents(Connection& connection, const DatabaseModel& model, const TableModel& table,
                    const RowChange& change) {
  for (const ForeignKey& foreign : table.foreign_keys) {
    if (!PointsAnew(foreign, change)) continue;
    INDOUBT_ASSIGN_OR_RETURN(const auto parents,
                             ParentOf(connection, model, foreign, *change.after));
    if (!parents.empty()) continue;
    return Status(StatusCode::kAborted,
                  fmt::format("a foreign key is violated: a changed row of table {} points to "
                              "a row of table {} that does not exist",
                              table.name, foreign.parent));
  }
  return Status::Ok();
}

Status CheckChildren(Connection& connection, const DatabaseModel& model,
                     const TableModel& parent, const RowChange& change) {
  for (const TableModel& child : model.tables) {
    for (const ForeignKey& foreign : child.foreign_keys) {
      if (foreign.parent != parent.name) continue;
      const auto same = [&](int column) {
        return At(*change.before, column) == At(*change.after, column);
      };
      if (change.after &&
          std::all_of(foreign.parent_columns.begin(), foreign.parent_columns.end(), same)) {
        continue;
      }
      INDOUBT_ASSIGN_OR_RETURN(
          const bool orphan, LeavesOrphan(connection, child, foreign, parent, *change.before));
      if (!orphan) continue;
      return Status(StatusCode::kAborted,
                    fmt::format("a foreign key is violated: a row of table {} points to a row "
                                "of table {} that goes",
                                child.name, parent.name));
    }
  }
  return Status::Ok();
}

}  // namespace

bool PointsAnew(const ForeignKey& foreign, const RowChange& change) {
  if (!change.after) return false;
  bool same = change.before.has_value();
  for (int column : foreign.columns) {
    if (IsNull(At(*change.after, column))) return false;
    same = same && At(*change.before, column) == At(*change.after, column);
  }
  return !same;
}

Result<std::vector<Row>> ParentOf(Connection& connection, const DatabaseModel& model,
                                  const ForeignKey& foreign, const Row& child) {
  const TableModel& parent = *model.Find(foreign.parent);
  std::string sql = "SELECT ";
  for (size_t i = 0; i < parent.columns.size(); ++i) {
    sql += (i > 0 ? "," : "") + QuoteName(parent.columns[i].name);
  }
  sql += " FROM " + QuoteName(parent.name) + " WHERE ";
  std::vector<SqlValue> values;
  for (size_t i = 0; i < foreign.columns.size(); ++i) {
    sql += fmt::format("{}{}=?{}", i > 0 ? " AND " : "",
                       NameOf(parent, foreign.parent_columns[i]), i + 1);
    values.push_back(At(child, foreign.columns[i]));
  }
  return connection.Query(sql, values);
}

Status CheckForeignKeys(Connection& connection, const DatabaseModel& model,
                        const ChangeSet& changes) {
  for (const RowChange& change : changes) {
    const TableModel& table = *model.Find(change.table);
    INDOUBT_RETURN_IF_ERROR(CheckParents(connection, model, table, change));
    if (change.before) {
      INDOUBT_RETURN_IF_ERROR(CheckChildren(connection, model, table, change));
    }
  }
  return Status::Ok();
}

}  // namespace indoubt::sqlite
