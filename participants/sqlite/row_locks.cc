#include "participants/sqlite/row_locks.h"

#include <array>

#include <fmt/format.h>

#include "participants/sqlite/foreign_keys.h"

namespace indoubt::sqlite {
namespace {

const SqlValue& At(const Row& row, int column) { return row[static_cast<size_t>(column)]; }

bool SameKey(const UniqueKey& key, const Row& a, const Row& b) {
  for (int column : key.columns) {
    if (At(a, column) != At(b, column)) return false;
  }
  return true;
}

/// The lock value of `row`'s key; none when a part of it is NULL.
Result<std::optional<SqlValue>> KeyValue(Connection& connection, const UniqueKey& key,
                                         const Row& row) {
  for (int column : key.columns) {
    if (IsNull(At(row, column))) return std::optional<SqlValue>();
  }
  const SqlValue& first = At(row, key.columns[0]);
  const bool text = std::holds_alternative<std::string>(first);
  if (key.columns.size() == 1 && (!text || key.collations[0] == "BINARY")) {
    return std::optional<SqlValue>(first);  // what KeyExpression gives, without asking
  }
  std::vector<std::string> operands;
  std::vector<SqlValue> values;
  for (int column : key.columns) {
    operands.push_back(fmt::format("?{}", operands.size() + 1));
    values.push_back(At(row, column));
  }
  INDOUBT_ASSIGN_OR_RETURN(auto rows,
                           connection.Query("SELECT " + KeyExpression(key, operands), values));
  return std::optional<SqlValue>(std::move(rows[0][0]));
}

class LockList {
 public:
  explicit LockList(Connection& connection) : connection_(connection) {}

  Status Add(const UniqueKey& key, const Row& row, char mode) {
    INDOUBT_ASSIGN_OR_RETURN(auto value, KeyValue(connection_, key, row));
    if (value) locks_.push_back({key.space, std::move(*value), mode});
    return Status::Ok();
  }

  Status AddParent(const DatabaseModel& model, const ForeignKey& foreign, const Row& child) {
    INDOUBT_ASSIGN_OR_RETURN(auto rows, ParentOf(connection_, model, foreign, child));
    const TableModel& parent = *model.Find(foreign.parent);
    // None: the branch itself inserts the parent, and holds its keys already. The vote has
    // seen that there is one.
    for (const Row& row : rows) {
      for (const UniqueKey& key : parent.keys) INDOUBT_RETURN_IF_ERROR(Add(key, row, 'r'));
    }
    return Status::Ok();
  }

  std::vector<RowLock> Take() { return std::move(locks_); }

 private:
  Connection& connection_;
  std::vector<RowLock> locks_;
};

Status AddChange(const DatabaseModel& model, const RowChange& change, LockList& list) {
  const TableModel& table = *model.Find(change.table);
  for (const UniqueKey& key : table.keys) {
    const bool moves =
        change.before && (!change.after || !SameKey(key, *change.before, *change.after));
    if (change.before) INDOUBT_RETURN_IF_ERROR(list.Add(key, *change.before, 'x'));
    if (change.after && (moves || !change.before)) {
      INDOUBT_RETURN_IF_ERROR(list.Add(key, *change.after, 'x'));
    }
    if (key.referenced && moves) INDOUBT_RETURN_IF_ERROR(list.Add(key, *change.before, 'g'));
  }
  for (const ForeignKey& foreign : table.foreign_keys) {
    if (PointsAnew(foreign, change)) {
      INDOUBT_RETURN_IF_ERROR(list.AddParent(model, foreign, *change.after));
    }
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<RowLock>> LocksOf(Connection& connection, const DatabaseModel& model,
                                     const ChangeSet& changes) {
  LockList list(connection);
  for (const RowChange& change : changes) {
    INDOUBT_RETURN_IF_ERROR(AddChange(model, change, list));
  }
  return list.Take();
}

Result<std::string> FindHolder(Connection& connection, const std::vector<RowLock>& locks) {
  static const std::string kSql =
      "SELECT gid FROM indoubt_lock WHERE space = ?1 AND key = ?2 AND mode = ?3 LIMIT 1";
  for (const RowLock& lock : locks) {
    // A going key bars new references to it, and they bar its going.
    const char rival = lock.mode == 'x' ? 'x' : lock.mode == 'g' ? 'r' : 'g';
    INDOUBT_ASSIGN_OR_RETURN(PreparedStatement statement, connection.Prepare(kSql));
    const SqlValue space = lock.space, mode = std::string(1, rival);
    statement.Bind(1, space);
    statement.Bind(2, lock.key);
    statement.Bind(3, mode);
    const int code = sqlite3_step(statement.get());
    if (code == SQLITE_ROW) return std::get<std::string>(ReadColumn(statement.get(), 0));
    if (code != SQLITE_DONE) return connection.Failure(code, kSql);
  }
  return std::string();
}

Status StoreLocks(Connection& connection, const std::vector<RowLock>& locks,
                  const SqlValue& gid, const SqlValue& participant) {
  static const std::string kSql =
      "INSERT OR IGNORE INTO indoubt_lock(space, key, mode, gid, participant) "
      "VALUES(?1, ?2, ?3, ?4, ?5)";
  for (const RowLock& lock : locks) {
    const std::array<SqlValue, 5> row = {lock.space, lock.key, std::string(1, lock.mode), gid,
                                         participant};
    INDOUBT_RETURN_IF_ERROR(connection.Run(kSql, row));
  }
  return Status::Ok();
}

}  // namespace indoubt::sqlite
