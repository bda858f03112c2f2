#include "participants/sqlite/guard_triggers.h"

#include <fmt/format.h>

#include "participants/sqlite/sqlite_schema.h"

namespace indoubt::sqlite {
namespace {

std::vector<std::string> Operands(const TableModel& table, const std::vector<int>& columns,
                                  const std::string& row) {
  std::vector<std::string> operands;
  operands.reserve(columns.size());
  for (int column : columns) {
    operands.push_back(row + "." + QuoteName(table.columns[static_cast<size_t>(column)].name));
  }
  return operands;
}

std::string Locked(const UniqueKey& key, const TableModel& table, const std::string& row,
                   char mode) {
  return fmt::format(
      "EXISTS(SELECT 1 FROM indoubt_lock WHERE space = {} AND key = {} AND mode = '{}')",
      QuoteText(key.space), KeyExpression(key, Operands(table, key.columns, row)), mode);
}

std::string Differs(const TableModel& table, const std::vector<int>& columns) {
  std::string differs;
  for (int column : columns) {
    const std::string name = QuoteName(table.columns[static_cast<size_t>(column)].name);
    differs += fmt::format("{}OLD.{} IS NOT NEW.{}", differs.empty() ? "" : " OR ", name, name);
  }
  return "(" + differs + ")";
}

bool IsReferenced(const TableModel& table) {
  for (const UniqueKey& key : table.keys) {
    if (key.referenced) return true;
  }
  return false;
}

/// The new row's parents must not be about to go. The parent's own row is asked for
/// its key, so that the comparison is the foreign key's (affinity, collation).
void AddParentChecks(const DatabaseModel& model, const TableModel& table, bool update,
                     std::vector<std::string>& checks) {
  for (const ForeignKey& foreign : table.foreign_keys) {
    const TableModel& parent = *model.Find(foreign.parent);
    std::string join;
    for (size_t i = 0; i < foreign.columns.size(); ++i) {
      const auto child_at = static_cast<size_t>(foreign.columns[i]);
      const auto parent_at = static_cast<size_t>(foreign.parent_columns[i]);
      join += fmt::format(" AND p.{} = NEW.{}", QuoteName(parent.columns[parent_at].name),
                          QuoteName(table.columns[child_at].name));
    }
    for (const UniqueKey& key : parent.keys) {
      if (!key.referenced) continue;
      checks.push_back(fmt::format(
          "{}EXISTS(SELECT 1 FROM {} p, indoubt_lock l WHERE l.space = {} AND l.mode = 'g' AND "
          "l.key = {}{})",
          update ? Differs(table, foreign.columns) + " AND " : "", QuoteName(parent.name),
          QuoteText(key.space), KeyExpression(key, Operands(parent, key.columns, "p")), join));
    }
  }
}

std::vector<std::string> Checks(const DatabaseModel& model, const TableModel& table,
                                std::string_view event) {
  std::vector<std::string> checks;
  const bool has_old = event != "INSERT", has_new = event != "DELETE";
  const bool update = has_old && has_new, referenced = IsReferenced(table);
  for (const UniqueKey& key : table.keys) {
    const std::string moved = update ? Differs(table, key.columns) + " AND " : "";
    if (table.managed && has_old) checks.push_back(Locked(key, table, "OLD", 'x'));
    if (table.managed && has_new) checks.push_back(moved + Locked(key, table, "NEW", 'x'));
    if (key.referenced && has_old) checks.push_back(moved + Locked(key, table, "OLD", 'r'));
    if (referenced && has_new) checks.push_back(moved + Locked(key, table, "NEW", 'r'));
  }
  if (has_new) AddParentChecks(model, table, update, checks);
  return checks;
}

/// A trial cannot vouch for such a constraint. (What is in doubt already is applied all
/// the same: that it was repeated once is the best that is known of it.)
Status RefuseUnrepeatable(const DatabaseModel& model) {
  std::string refused;
  for (const TableModel& table : model.tables) {
    if (!table.managed || table.unrepeatable_check.empty()) continue;
    refused += fmt::format(
        "{}table {}: a CHECK asks {}(), whose answer at commit may be another than at the "
        "prepare; take it out of the constraint",
        refused.empty() ? "" : "; ", table.name, table.unrepeatable_check);
  }
  return refused.empty() ? Status::Ok() : Status(StatusCode::kRefused, refused);
}

Result<std::string> StoredSql(Connection& connection, const SchemaObject& object) {
  const SqlValue name = object.name;
  INDOUBT_ASSIGN_OR_RETURN(
      auto rows, connection.Query("SELECT sql FROM sqlite_master WHERE name = ?1", {&name, 1}));
  if (rows.empty()) return std::string();
  const auto* sql = std::get_if<std::string>(&rows[0][0]);
  return sql ? *sql : std::string();
}

/// Whether it had to be written.
Result<bool> Install(Connection& connection, const SchemaObject& object) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string stored, StoredSql(connection, object));
  if (stored == object.sql) return false;
  if (!stored.empty() && object.type == "TABLE") {
    INDOUBT_ASSIGN_OR_RETURN(auto rows,
                             connection.Query("SELECT count(*) FROM " + object.name));
    if (std::get<int64_t>(rows[0][0]) != 0) {
      return Status(
          StatusCode::kRefused,
          fmt::format("table {} in {} was made by another version of indoubt and is not "
                      "empty; let that version finish its transactions first",
                      object.name, connection.path()));
    }
  }
  if (!stored.empty()) {
    INDOUBT_RETURN_IF_ERROR(
        connection.Run(fmt::format("DROP {} {}", object.type, QuoteName(object.name))));
  }
  INDOUBT_RETURN_IF_ERROR(connection.Run(object.sql));
  return true;
}

}  // namespace

std::vector<SchemaObject> WantedSchema(const DatabaseModel& model) {
  std::vector<SchemaObject> wanted = {
      {"TABLE", "indoubt_branch", std::string(sqlite_schema::kBranchTable)},
      {"TABLE", "indoubt_lock", std::string(sqlite_schema::kLockTable)},
      {"INDEX", "indoubt_lock_by_gid", std::string(sqlite_schema::kLockIndex)},
      {"TABLE", "indoubt_outcome", std::string(sqlite_schema::kOutcomeTable)}};
  for (const TableModel& table : model.tables) {
    for (SchemaObject& trigger : GuardTriggers(model, table))
      wanted.push_back(std::move(trigger));
  }
  return wanted;
}

std::vector<SchemaObject> GuardTriggers(const DatabaseModel& model, const TableModel& table) {
  std::vector<SchemaObject> triggers;
  for (const char* event : {"INSERT", "UPDATE", "DELETE"}) {
    const std::vector<std::string> checks = Checks(model, table, event);
    if (checks.empty()) continue;
    const std::string name = fmt::format("indoubt_guard_{}_{}", event, table.name);
    triggers.push_back(
        {"TRIGGER", name,
         // Nothing in doubt is the usual case: then WHEN costs one look at an empty table.
         fmt::format("CREATE TRIGGER {} AFTER {} ON {} WHEN EXISTS(SELECT 1 FROM indoubt_lock) "
                     "BEGIN SELECT RAISE(ABORT, {}) WHERE {}; END",
                     QuoteName(name), event, QuoteName(table.name),
                     QuoteText(sqlite_schema::kLockedMessage), fmt::join(checks, " OR "))});
  }
  return triggers;
}

Status InstallSchema(Connection& connection, const DatabaseModel& model,
                     std::vector<std::string>* written) {
  const std::vector<SchemaObject> wanted = WantedSchema(model);
  for (const SchemaObject& object : wanted) {
    INDOUBT_ASSIGN_OR_RETURN(const bool wrote, Install(connection, object));
    if (wrote && written != nullptr) written->push_back(object.name);
  }
  return Status::Ok();
}

Status RequireKnownFile(Connection& connection, const std::vector<std::string>& managed) {
  std::vector<std::string> known{std::string(kSqliteBranchTable)};
  known.insert(known.end(), managed.begin(), managed.end());
  for (const std::string& table : known) {
    const SqlValue name = table;
    INDOUBT_ASSIGN_OR_RETURN(
        const auto rows,
        connection.Query("SELECT 1 FROM sqlite_master WHERE name = ?1 COLLATE NOCASE",
                         {&name, 1}));
    if (!rows.empty()) return Status::Ok();
  }
  return Status(
      StatusCode::kUnavailable,
      fmt::format("SQLite file {} has none of the configured tables and none of "
                  "indoubt's, so it is not the file that branches were prepared in (a "
                  "wrong path, a volume that is not mounted); bring that one back",
                  connection.path()));
}

Result<DatabaseModel> LoadAndInstall(Connection& connection,
                                     const std::vector<std::string>& managed) {
  DatabaseModel model;
  INDOUBT_RETURN_IF_ERROR(connection.InWriteTransaction([&]() -> Status {
    INDOUBT_ASSIGN_OR_RETURN(model, LoadModel(connection, managed));
    INDOUBT_RETURN_IF_ERROR(RefuseUnrepeatable(model));
    INDOUBT_RETURN_IF_ERROR(InstallSchema(connection, model));
    INDOUBT_ASSIGN_OR_RETURN(const auto version, connection.Query("PRAGMA schema_version"));
    model.schema_version = std::get<int64_t>(version[0][0]);
    return Status::Ok();
  }));
  return model;
}

}  // namespace indoubt::sqlite
