#include "participants/sqlite/capture.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace indoubt {
namespace {

using Session = std::unique_ptr<sqlite3_session, void (*)(sqlite3_session*)>;
using Iterator = std::unique_ptr<sqlite3_changeset_iter, int (*)(sqlite3_changeset_iter*)>;

constexpr const char* kOnly =
    "only SELECT, INSERT, UPDATE, DELETE and REPLACE can be part of a transaction";

Status No(std::string why) { return Status(StatusCode::kAborted, std::move(why)); }

Result<Session> StartSession(SqliteDatabase& database,
                             const std::map<std::string, ManagedTable>& tables) {
  sqlite3_session* raw = nullptr;
  if (sqlite3session_create(database.get(), "main", &raw) != SQLITE_OK) {
    return database.Error("cannot capture");
  }
  Session session(raw, sqlite3session_delete);
  for (const auto& [name, table] : tables) {
    if (sqlite3session_attach(raw, name.c_str()) != SQLITE_OK) {
      return database.Error("cannot capture table " + name);
    }
  }
  return session;
}

Result<std::string> ChangesetOf(sqlite3_session* session) {
  int size = 0;
  void* raw = nullptr;
  const int code = sqlite3session_changeset(session, &size, &raw);
  const std::unique_ptr<void, void (*)(void*)> owner(raw, sqlite3_free);
  if (code != SQLITE_OK) return No(fmt::format("the work cannot be captured (code {})", code));
  return std::string(static_cast<const char*>(raw), static_cast<size_t>(size));
}

/// A value as SQL's quote() writes it, which the guard triggers use.
std::string Quote(SqliteDatabase& database, sqlite3_value* value) {
  if (sqlite3_value_type(value) == SQLITE_INTEGER) {
    return std::to_string(sqlite3_value_int64(value));
  }
  SqliteStatement statement = database.Cached("SELECT quote(?1)");
  statement.Bind(1, value);
  return statement.Step() == SQLITE_ROW ? statement.Text(0) : std::string();
}

/// One side (old or new) of one changed row, completed from the table where the
/// changeset leaves out what did not change.
class RowSide {
 public:
  RowSide(SqliteDatabase& database, const ManagedTable& table)
      : database_(database), table_(table), quoted_(table.columns.size()) {}

  void Set(int column, sqlite3_value* value) {
    if (value != nullptr) quoted_[static_cast<size_t>(column)] = Quote(database_, value);
  }
  /// Fills what is missing from the row with this side's primary key, or from
  /// `other`, the same row's other side.
  void CompleteFrom(const RowSide& other) {
    for (size_t i = 0; i < quoted_.size(); ++i) {
      if (quoted_[i].empty()) quoted_[i] = other.quoted_[i];
    }
  }
  Status CompleteFromTable() {
    if (std::find(quoted_.begin(), quoted_.end(), "") == quoted_.end()) return Status::Ok();
    std::vector<std::string> columns, conditions;
    for (const std::string& name : table_.columns) {
      columns.push_back(fmt::format("quote({})", QuoteName(name)));
    }
    for (const int column : table_.primary_key) {
      conditions.push_back(fmt::format("{} = {}", QuoteName(Name(column)),
                                       quoted_[static_cast<size_t>(column)]));
    }
    const std::string sql =
        fmt::format("SELECT {} FROM main.{} WHERE {}", fmt::join(columns, ", "),
                    QuoteName(table_.name), fmt::join(conditions, " AND "));
    sqlite3_stmt* raw = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) {
      return database_.Error("cannot read a changed row");
    }
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(raw, sqlite3_finalize);
    if (sqlite3_step(raw) != SQLITE_ROW) return No("a changed row cannot be read back");
    for (size_t i = 0; i < quoted_.size(); ++i) {
      if (quoted_[i].empty()) {
        quoted_[i] =
            reinterpret_cast<const char*>(sqlite3_column_text(raw, static_cast<int>(i)));
      }
    }
    return Status::Ok();
  }
  void AddKeys(std::set<HeldKey>& keys) const {
    for (const LockKey& key : table_.keys) {
      std::vector<std::string> parts;
      bool has_null = false;
      for (const int column : key.columns) {
        parts.push_back(quoted_[static_cast<size_t>(column)]);
        has_null = has_null || parts.back() == "NULL";
      }
      if (has_null) continue;  // collides with nothing
      keys.insert(
          {key.table, key.index, fmt::format("{}", fmt::join(parts, ",")), key.reference});
    }
  }

 private:
  const std::string& Name(int column) const {
    return table_.columns[static_cast<size_t>(column)];
  }

  SqliteDatabase& database_;
  const ManagedTable& table_;
  std::vector<std::string> quoted_;  // by column; empty: not known yet
};

/// Whether some key needs columns beyond the primary key.
bool NeedsWholeRow(const ManagedTable& table) { return table.keys.size() > 1; }

Status AddKeysOfChange(SqliteDatabase& database, sqlite3_changeset_iter* iterator,
                       const std::map<std::string, ManagedTable>& tables,
                       std::set<HeldKey>& keys) {
  const char* name = nullptr;
  int columns = 0, operation = 0, indirect = 0;
  sqlite3changeset_op(iterator, &name, &columns, &operation, &indirect);
  const auto found = tables.find(name);
  if (found == tables.end()) return No(fmt::format("table {} is not managed", name));
  const ManagedTable& table = found->second;
  RowSide before(database, table), after(database, table);
  for (int i = 0; i < columns; ++i) {
    sqlite3_value* value = nullptr;
    if (operation != SQLITE_INSERT && sqlite3changeset_old(iterator, i, &value) == SQLITE_OK) {
      before.Set(i, value);
    }
    value = nullptr;
    if (operation != SQLITE_DELETE && sqlite3changeset_new(iterator, i, &value) == SQLITE_OK) {
      after.Set(i, value);
    }
  }
  if (operation == SQLITE_UPDATE) {
    after.CompleteFrom(before);  // the primary key, which an update keeps
    if (NeedsWholeRow(table)) {
      INDOUBT_RETURN_IF_ERROR(after.CompleteFromTable());
      before.CompleteFrom(after);
    }
  }
  if (operation != SQLITE_INSERT) before.AddKeys(keys);
  if (operation != SQLITE_DELETE) after.AddKeys(keys);
  return Status::Ok();
}

/// Called while the work is still in place.
Result<std::set<HeldKey>> KeysOf(SqliteDatabase& database, const std::string& changeset,
                                 const std::map<std::string, ManagedTable>& tables) {
  sqlite3_changeset_iter* raw = nullptr;
  std::string bytes = changeset;  // the interface takes a mutable buffer
  if (sqlite3changeset_start(&raw, static_cast<int>(bytes.size()), bytes.data()) != SQLITE_OK) {
    return No("the captured work cannot be read");
  }
  const Iterator iterator(raw, sqlite3changeset_finalize);
  std::set<HeldKey> keys;
  int code = 0;
  while ((code = sqlite3changeset_next(raw)) == SQLITE_ROW) {
    INDOUBT_RETURN_IF_ERROR(AddKeysOfChange(database, raw, tables, keys));
  }
  if (code != SQLITE_DONE) return No("the captured work cannot be read to its end");
  return keys;
}

Result<StatementResult> RunOne(SqliteDatabase& database, StatementGuard& guard,
                               const Statement& statement) {
  sqlite3_stmt* raw = nullptr;
  const char* rest = nullptr;
  const auto refused = [&] {
    return guard.refusal().empty() ? database.Error("statement failed") : No(guard.refusal());
  };
  if (statement.text.find('\0') != std::string::npos) return No("a statement holds a NUL byte");
  if (sqlite3_prepare_v2(database.get(), statement.text.c_str(), -1, &raw, &rest) !=
      SQLITE_OK) {
    return refused();
  }
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(raw, sqlite3_finalize);
  if (raw == nullptr) return No("the statement is empty");
  if (std::string_view(rest).find_first_not_of(" \t\r\n;") != std::string_view::npos) {
    return No("more than one statement in one text; give each its own");
  }
  if (sqlite3_bind_parameter_count(raw) != static_cast<int>(statement.params.size())) {
    return No(fmt::format("the statement takes {} parameters and {} were given",
                          sqlite3_bind_parameter_count(raw), statement.params.size()));
  }
  SqliteStatement run(raw);
  for (size_t i = 0; i < statement.params.size(); ++i) {
    run.Bind(static_cast<int>(i) + 1, statement.params[i]);
  }
  StatementResult result;
  int code = 0;
  while ((code = run.Step()) == SQLITE_ROW) {
    std::vector<Value> row;
    for (int i = 0; i < sqlite3_column_count(raw); ++i) row.push_back(run.ColumnValue(i));
    result.values.push_back({std::move(row)});
  }
  if (code != SQLITE_DONE) return refused();
  result.rows = sqlite3_stmt_readonly(raw) != 0 ? static_cast<int64_t>(result.values.size())
                                                : sqlite3_changes64(database.get());
  if (statement.expect_rows && result.rows != statement.expect_rows) {
    return No(fmt::format("the statement touched {} rows, {} were expected", *result.rows,
                          *statement.expect_rows));
  }
  return result;
}

/// A row with a NULL in its primary key is never captured, and SQLite does not say so.
Status RefuseNullKeys(SqliteDatabase& database,
                      const std::map<std::string, ManagedTable>& tables) {
  for (const auto& [name, table] : tables) {
    for (const int column : table.nullable_key) {
      const std::string& key = table.columns[static_cast<size_t>(column)];
      SqliteStatement look = database.Cached(fmt::format(
          "SELECT 1 FROM main.{} WHERE {} IS NULL", QuoteName(name), QuoteName(key)));
      if (look.Step() == SQLITE_ROW) {
        return No(
            fmt::format("table {} has a row whose key column {} is NULL, which cannot be "
                        "captured; declare the column NOT NULL",
                        name, key));
      }
    }
  }
  return Status::Ok();
}

/// Undoes everything since the savepoint and keeps it open.
Status Undo(SqliteDatabase& database) { return database.Run("ROLLBACK TO branch"); }

}  // namespace

StatementGuard::StatementGuard(SqliteDatabase& database,
                               const std::map<std::string, ManagedTable>& tables)
    : database_(database), tables_(tables) {
  sqlite3_set_authorizer(database_.get(), &StatementGuard::Authorize, this);
}

StatementGuard::~StatementGuard() { sqlite3_set_authorizer(database_.get(), nullptr, nullptr); }

int StatementGuard::Authorize(void* self, int action, const char* first, const char* second,
                              const char*, const char*) {
  return static_cast<StatementGuard*>(self)->Judge(action, first == nullptr ? "" : first,
                                                   second == nullptr ? "" : second);
}

int StatementGuard::Judge(int action, const std::string& first, const std::string& second) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      // The session asks this on our connection, from within the statement.
      if (first == "table_info" || first == "table_xinfo") return SQLITE_OK;
      refusal_ = fmt::format("PRAGMA {} is refused; {}", first, kOnly);
      return SQLITE_DENY;
    case SQLITE_FUNCTION:
      if (second != "load_extension") return SQLITE_OK;
      refusal_ = "load_extension is refused";
      return SQLITE_DENY;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
      for (const auto& [name, table] : tables_) {
        if (sqlite3_stricmp(name.c_str(), first.c_str()) == 0) return SQLITE_OK;
      }
      if (first == "sqlite_sequence") return SQLITE_OK;
      if (first == "sqlite_master" || first == "sqlite_temp_master") {
        refusal_ = kOnly;
        return SQLITE_DENY;
      }
      refusal_ = fmt::format(
          "table {} is not one of this participant's tables; add it to "
          "tables in the configuration",
          first);
      return SQLITE_DENY;
    default:
      refusal_ = kOnly;
      return SQLITE_DENY;
  }
}

Result<std::vector<StatementResult>> RunStatements(
    SqliteDatabase& database, const std::map<std::string, ManagedTable>& tables,
    const std::vector<Statement>& statements) {
  StatementGuard guard(database, tables);
  std::vector<StatementResult> results;
  for (const Statement& statement : statements) {
    INDOUBT_ASSIGN_OR_RETURN(StatementResult result, RunOne(database, guard, statement));
    results.push_back(std::move(result));
  }
  return results;
}

Status ApplyChangeset(SqliteDatabase& database, const std::string& changeset) {
  if (changeset.empty()) return Status::Ok();
  std::string conflict;
  const auto on_conflict = [](void* to, int kind, sqlite3_changeset_iter* iterator) {
    const char* table = "?";
    int columns = 0, operation = 0, indirect = 0;
    if (kind != SQLITE_CHANGESET_FOREIGN_KEY) {
      sqlite3changeset_op(iterator, &table, &columns, &operation, &indirect);
    }
    *static_cast<std::string*>(to) = fmt::format("conflict {} in table {}", kind, table);
    return SQLITE_CHANGESET_ABORT;
  };
  std::string bytes = changeset;
  const int code = sqlite3changeset_apply(database.get(), static_cast<int>(bytes.size()),
                                          bytes.data(), nullptr, on_conflict, &conflict);
  if (code == SQLITE_OK) return Status::Ok();
  if (!conflict.empty()) return No(conflict);
  return database.Error("cannot apply the captured work");
}

Result<Captured> CaptureWork(SqliteDatabase& database,
                             const std::map<std::string, ManagedTable>& tables,
                             const std::string& earlier,
                             const std::vector<Statement>& statements) {
  Captured captured;
  INDOUBT_RETURN_IF_ERROR(RefuseNullKeys(database, tables));
  {
    INDOUBT_ASSIGN_OR_RETURN(const Session session, StartSession(database, tables));
    INDOUBT_RETURN_IF_ERROR(
        ApplyChangeset(database, earlier)
            .WithContext("rows of this transaction were changed meanwhile"));
    INDOUBT_ASSIGN_OR_RETURN(captured.results, RunStatements(database, tables, statements));
    INDOUBT_RETURN_IF_ERROR(RefuseNullKeys(database, tables));
    INDOUBT_ASSIGN_OR_RETURN(captured.changeset, ChangesetOf(session.get()));
    INDOUBT_ASSIGN_OR_RETURN(captured.keys, KeysOf(database, captured.changeset, tables));
  }
  INDOUBT_RETURN_IF_ERROR(Undo(database));
  if (captured.changeset.empty()) return captured;
  {
    INDOUBT_ASSIGN_OR_RETURN(const Session session, StartSession(database, tables));
    INDOUBT_RETURN_IF_ERROR(ApplyChangeset(database, captured.changeset));
    INDOUBT_ASSIGN_OR_RETURN(const std::string again, ChangesetOf(session.get()));
    if (again != captured.changeset) {
      return No("the captured work does not do the same when it is applied; it cannot be kept");
    }
  }
  INDOUBT_RETURN_IF_ERROR(Undo(database));
  return captured;
}

}  // namespace indoubt
