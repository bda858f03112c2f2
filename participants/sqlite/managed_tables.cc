#include "participants/sqlite/managed_tables.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/crc32c.h"
#include "participants/sqlite/sqlite_schema.h"

namespace indoubt {
namespace {

std::string QuoteText(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

using Rows = std::vector<std::vector<std::string>>;

Result<Rows> Query(SqliteDatabase& database, const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(database.get(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
    return database.Error(sql);
  }
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(raw, sqlite3_finalize);
  Rows rows;
  int code = 0;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW) {
    std::vector<std::string>& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(raw); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, i));
      row.emplace_back(text == nullptr ? "" : text);
    }
  }
  if (code != SQLITE_DONE) return database.Error(sql);
  return rows;
}

class Inspector {
 public:
  Inspector(SqliteDatabase& database, std::vector<std::string> names,
            std::vector<std::string>& problems)
      : database_(database), names_(std::move(names)), problems_(problems) {}

  Status Inspect(const std::string& name, std::map<std::string, ManagedTable>& tables) {
    ManagedTable table;
    table.name = name;
    const size_t before = problems_.size();
    INDOUBT_RETURN_IF_ERROR(ReadColumns(table));
    if (problems_.size() == before) INDOUBT_RETURN_IF_ERROR(ReadIndexes(table));
    if (problems_.size() == before) INDOUBT_RETURN_IF_ERROR(ReadReferences(table));
    if (problems_.size() == before) INDOUBT_RETURN_IF_ERROR(ReadTriggers(table));
    if (problems_.size() == before) tables[name] = std::move(table);
    return Status::Ok();
  }

 private:
  void Problem(const std::string& table, const std::string& what) {
    problems_.push_back(fmt::format("table {}: {}", table, what));
  }

  Status ReadColumns(ManagedTable& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        const Rows rows,
        Query(database_, fmt::format("SELECT name, pk, hidden, \"notnull\", upper(type) FROM "
                                     "pragma_table_xinfo({})",
                                     QuoteText(table.name))));
    if (rows.empty()) {
      Problem(table.name, "does not exist; create it, or take it out of tables");
      return Status::Ok();
    }
    std::vector<std::pair<int, int>> key;  // position in the key, column
    for (const auto& row : rows) {
      if (row[2] != "0")
        Problem(table.name, "generated column " + row[0] + " is not supported");
      if (row[1] != "0") {
        key.emplace_back(std::stoi(row[1]), static_cast<int>(table.columns.size()));
      }
      table.columns.push_back(row[0]);
    }
    std::sort(key.begin(), key.end());
    for (const auto& [position, column] : key) {
      const auto& row = rows[static_cast<size_t>(column)];
      const bool is_rowid = key.size() == 1 && row[4] == "INTEGER";
      if (row[3] == "0" && !is_rowid) table.nullable_key.push_back(column);
      table.primary_key.push_back(column);
    }
    if (key.empty()) {
      Problem(table.name, "has no primary key, so its changes cannot be captured; declare one");
    }
    table.keys.push_back({table.name, "pk", table.primary_key, false});
    return Status::Ok();
  }

  Status ReadIndexes(ManagedTable& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        const Rows indexes,
        Query(database_, fmt::format("SELECT name, origin, partial FROM pragma_index_list({}) "
                                     "WHERE \"unique\" = 1",
                                     QuoteText(table.name))));
    for (const auto& index : indexes) {
      INDOUBT_ASSIGN_OR_RETURN(
          const Rows columns,
          Query(database_, fmt::format("SELECT cid, name, coll FROM pragma_index_xinfo({}) "
                                       "WHERE key = 1 ORDER BY seqno",
                                       QuoteText(index[0]))));
      LockKey key{table.name, "", {}, false};
      bool plain = index[2] == "0";
      for (const auto& column : columns) {
        plain = plain && std::stoi(column[0]) >= 0 && column[2] == "BINARY";
        if (!key.index.empty()) key.index += ",";
        key.index += column[1];
        key.columns.push_back(std::stoi(column[0]));
      }
      if (!plain) {
        Problem(table.name, fmt::format("unique index {} is partial, on an expression, or not "
                                        "of collation BINARY; that is not supported",
                                        index[0]));
      }
      if (index[1] != "pk") table.keys.push_back(std::move(key));
    }
    return Status::Ok();
  }

  int ColumnOf(const std::vector<std::string>& columns, const std::string& name) {
    const auto same = [&name](const std::string& column) {
      return sqlite3_stricmp(column.c_str(), name.c_str()) == 0;
    };
    const auto found = std::find_if(columns.begin(), columns.end(), same);
    return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
  }

  Status ReadReferences(ManagedTable& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        const Rows rows,
        Query(database_,
              fmt::format("SELECT id, \"table\", \"from\", \"to\", on_update, on_delete "
                          "FROM pragma_foreign_key_list({}) ORDER BY id, seq",
                          QuoteText(table.name))));
    for (const auto& row : rows) {
      const bool managed = std::find(names_.begin(), names_.end(), row[1]) != names_.end();
      if (!managed) {
        Problem(table.name, fmt::format("refers to {}, which must be in tables too", row[1]));
      }
      for (const std::string& rule : {row[4], row[5]}) {
        if (rule != "NO ACTION" && rule != "RESTRICT") {
          Problem(table.name, "a foreign key with " + rule + " is not supported");
        }
      }
      const int column = ColumnOf(table.columns, row[2]);
      LockKey* last = table.keys.empty() ? nullptr : &table.keys.back();
      if (last != nullptr && last->reference && reference_id_ == table.name + row[0]) {
        last->index += "," + row[3];
        last->columns.push_back(column);
        continue;
      }
      reference_id_ = table.name + row[0];
      // Without columns, or with those of its primary key, it is the parent's "pk".
      table.keys.push_back({row[1], row[3].empty() ? "pk" : row[3], {column}, true});
    }
    return NameReferencesOfPrimaryKeys(table);
  }

  Status NameReferencesOfPrimaryKeys(ManagedTable& table) {
    for (LockKey& key : table.keys) {
      if (!key.reference || key.index == "pk") continue;
      INDOUBT_ASSIGN_OR_RETURN(
          const Rows columns,
          Query(database_, fmt::format("SELECT name FROM pragma_table_xinfo({}) WHERE pk > 0 "
                                       "ORDER BY pk",
                                       QuoteText(key.table))));
      std::string primary;
      for (const auto& column : columns) primary += (primary.empty() ? "" : ",") + column[0];
      if (primary == key.index) key.index = "pk";
    }
    return Status::Ok();
  }

  Status ReadTriggers(ManagedTable& table) {
    INDOUBT_ASSIGN_OR_RETURN(
        const Rows rows,
        Query(database_, fmt::format("SELECT type, name, coalesce(sql, '') FROM sqlite_schema "
                                     "WHERE lower(tbl_name) = lower({}) ORDER BY type, name",
                                     QuoteText(table.name))));
    std::string schema;
    for (const auto& row : rows) {
      const bool ours = row[1].starts_with(kSqliteTriggerPrefix);
      if (row[0] == "trigger" && !ours) {
        Problem(table.name, fmt::format("trigger {} would fire again at commit and is not "
                                        "supported; drop it",
                                        row[1]));
      }
      if (!ours) schema += row[2] + "\n";
    }
    table.fingerprint = fmt::format("{:08x}", Crc32c(schema));
    return Status::Ok();
  }

  SqliteDatabase& database_;
  const std::vector<std::string> names_;
  std::vector<std::string>& problems_;
  std::string reference_id_;
};

/// SQL for "a lock stands on this key of the row called OLD or NEW".
std::string LockedExpression(const ManagedTable& table, const LockKey& key, const char* row) {
  std::vector<std::string> parts;
  for (const int column : key.columns) {
    parts.push_back(fmt::format("quote({}.{})", row,
                                QuoteName(table.columns[static_cast<size_t>(column)])));
  }
  return fmt::format("(tbl = {} AND idx = {} AND key = {}{})", QuoteText(key.table),
                     QuoteText(key.index), fmt::join(parts, "||','||"),
                     key.reference ? " AND mode = 'x'" : "");
}

std::string TriggerSql(const ManagedTable& table, const char* event,
                       const std::vector<const char*>& rows) {
  std::vector<std::string> locked;
  for (const char* row : rows) {
    for (const LockKey& key : table.keys) locked.push_back(LockedExpression(table, key, row));
  }
  return fmt::format(
      "CREATE TRIGGER {} AFTER {} ON {} BEGIN SELECT RAISE(ABORT, 'indoubt: a transaction in "
      "doubt holds this row (see {})') WHERE EXISTS (SELECT 1 FROM {} WHERE {}); END",
      QuoteName(fmt::format("{}{}_{}", kSqliteTriggerPrefix, table.name, event)), event,
      QuoteName(table.name), kSqliteLockTable, kSqliteLockTable, fmt::join(locked, " OR "));
}

std::vector<std::string> TriggersOf(const ManagedTable& table) {
  return {TriggerSql(table, "INSERT", {"NEW"}), TriggerSql(table, "UPDATE", {"OLD", "NEW"}),
          TriggerSql(table, "DELETE", {"OLD"})};
}

}  // namespace

std::string QuoteName(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

Result<std::map<std::string, ManagedTable>> InspectTables(SqliteDatabase& database,
                                                          const std::vector<std::string>& names,
                                                          std::vector<std::string>& problems) {
  Inspector inspector(database, names, problems);
  std::map<std::string, ManagedTable> tables;
  for (const std::string& name : names) {
    INDOUBT_RETURN_IF_ERROR(inspector.Inspect(name, tables));
  }
  return tables;
}

Status InstallGuards(SqliteDatabase& database,
                     const std::map<std::string, ManagedTable>& tables) {
  std::vector<std::string> wanted{
      fmt::format("CREATE TABLE {} (id TEXT PRIMARY KEY, changeset BLOB NOT NULL, fingerprint "
                  "TEXT NOT NULL) WITHOUT ROWID",
                  kSqliteBranchTable),
      fmt::format("CREATE TABLE {} (tbl TEXT, idx TEXT, key TEXT, branch TEXT, mode TEXT NOT "
                  "NULL, PRIMARY KEY (tbl, idx, key, branch)) WITHOUT ROWID",
                  kSqliteLockTable),
      fmt::format("CREATE TABLE {} (id TEXT PRIMARY KEY) WITHOUT ROWID", kSqliteOutcomeTable)};
  for (const auto& [name, table] : tables) {
    for (std::string& trigger : TriggersOf(table)) wanted.push_back(std::move(trigger));
  }
  INDOUBT_ASSIGN_OR_RETURN(
      const Rows rows,
      Query(database, fmt::format("SELECT sql, name FROM sqlite_schema WHERE name LIKE "
                                  "'indoubt\\_%' ESCAPE '\\'")));
  std::vector<std::string> present;
  for (const auto& row : rows) present.push_back(row[0]);
  std::string script;
  for (const auto& row : rows) {
    const bool stale = std::find(wanted.begin(), wanted.end(), row[0]) == wanted.end();
    if (stale && row[1].starts_with(kSqliteTriggerPrefix)) {
      script += fmt::format("DROP TRIGGER {};", QuoteName(row[1]));
    }
  }
  for (const std::string& sql : wanted) {
    if (std::find(present.begin(), present.end(), sql) == present.end()) script += sql + ";";
  }
  if (script.empty()) return Status::Ok();
  const Status status = database.Run("BEGIN IMMEDIATE;" + script + "COMMIT");
  if (!status.ok() && sqlite3_get_autocommit(database.get()) == 0) {
    const Status undone = database.Run("ROLLBACK");
    if (!undone.ok()) return undone;
  }
  return status;
}

}  // namespace indoubt
