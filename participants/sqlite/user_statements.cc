#include "participants/sqlite/user_statements.h"

#include <charconv>

#include <fmt/format.h>

#include "participants/result_limit.h"

namespace indoubt::sqlite {
namespace {

constexpr size_t kMaxCompiled = 256;
constexpr const char* kOnly =
    "only SELECT, INSERT, REPLACE, UPDATE and DELETE can be part of a transaction; schema "
    "changes, PRAGMA, ATTACH and transaction statements cannot";

Result<std::vector<SqlValue>> ToSqlValues(const std::vector<Value>& params) {
  std::vector<SqlValue> values;
  for (const Value& param : params) {
    if (const auto* truth = std::get_if<bool>(&param.held)) {
      values.emplace_back(int64_t{*truth});
    } else if (const auto* number = std::get_if<int64_t>(&param.held)) {
      values.emplace_back(*number);
    } else if (const auto* real = std::get_if<double>(&param.held)) {
      values.emplace_back(*real);
    } else if (const auto* text = std::get_if<std::string>(&param.held)) {
      values.emplace_back(*text);
    } else if (const auto* blob = std::get_if<Blob>(&param.held)) {
      values.emplace_back(*blob);
    } else if (std::holds_alternative<std::monostate>(param.held)) {
      values.emplace_back();
    } else {
      return Status(StatusCode::kInvalidArgument, "a list cannot be a parameter of SQL");
    }
  }
  return values;
}

Value ToValue(SqlValue value) {
  return std::visit([](auto&& held) { return Value{std::forward<decltype(held)>(held)}; },
                    std::move(value));
}

/// While it lives, SQLite makes no value larger than a branch may bring back. Only for
/// what a user wrote: what is stored already must be applied, whatever its size.
class ValueLimit {
 public:
  explicit ValueLimit(sqlite3* db)
      : db_(db),
        before_(sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(kMaxResultBytes))) {}
  ~ValueLimit() { sqlite3_limit(db_, SQLITE_LIMIT_LENGTH, before_); }
  ValueLimit(const ValueLimit&) = delete;
  ValueLimit& operator=(const ValueLimit&) = delete;

 private:
  sqlite3* db_;
  int before_;
};

/// Which parameter "?3" or "$3" names, from 1; 0 for any other name.
int NumberOf(std::string_view name) {
  int number = 0;
  if (name.size() < 2 || (name[0] != '?' && name[0] != '$')) return 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

/// SQLite declares a table-valued function at its first use with a CREATE TABLE of its own,
/// which Authorize would refuse.
void DeclareJsonFunctions(sqlite3* db) {
  for (const char* sql : {"SELECT 1 FROM json_each('[]')", "SELECT 1 FROM json_tree('[]')"}) {
    sqlite3_stmt* first_use = nullptr;
    // A SQLite without JSON says so again to the one who uses it.
    static_cast<void>(sqlite3_prepare_v2(db, sql, -1, &first_use, nullptr));
    sqlite3_finalize(first_use);
  }
}

}  // namespace

UserStatements::UserStatements(Connection& connection) : connection_(connection) {
  DeclareJsonFunctions(connection.handle());
  sqlite3_set_authorizer(connection.handle(), &UserStatements::Authorize, this);
}

UserStatements::~UserStatements() {
  for (auto& [sql, statement] : compiled_) sqlite3_finalize(statement);
  sqlite3_set_authorizer(connection_.handle(), nullptr, nullptr);
}

int UserStatements::Authorize(void* self, int action, const char* first, const char* second,
                              const char* database, const char*) {
  auto* statements = static_cast<UserStatements*>(self);
  if (statements->model_ == nullptr) return SQLITE_OK;
  return statements->Allowed(action, first, second, database) ? SQLITE_OK : SQLITE_DENY;
}

bool UserStatements::Allowed(int action, const char* first, const char* second,
                             const char* database) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return true;
    case SQLITE_FUNCTION:
      if (second && sqlite3_stricmp(second, "load_extension") != 0) return true;
      refusal_ = "load_extension is not allowed in a transaction of indoubt";
      return false;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: {
      if (first && sqlite3_strnicmp(first, "sqlite_", 7) == 0) {  // how DDL begins
        refusal_ = kOnly;
        return false;
      }
      const TableModel* table = first ? model_->Find(first) : nullptr;
      if (table && table->managed && database && std::string_view(database) == "main")
        return true;
      refusal_ = fmt::format(
          "it would change table {}, which is not managed; add it to tables of "
          "the participant",
          first ? first : "?");
      return false;
    }
    default:
      refusal_ = kOnly;
      return false;
  }
}

Result<sqlite3_stmt*> UserStatements::Compile(const std::string& sql) {
  const auto found = compiled_.find(sql);
  if (found != compiled_.end()) return found->second;
  const auto refuse = [&](std::string_view why) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("\"{}\": {}", sql.substr(0, 80), why));
  };
  if (sql.find('\0') != std::string::npos) return refuse("it contains a NUL byte");
  sqlite3_stmt* handle = nullptr;
  const char* rest = nullptr;
  const int code =
      sqlite3_prepare_v3(connection_.handle(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                         SQLITE_PREPARE_PERSISTENT, &handle, &rest);
  if (code != SQLITE_OK) {
    return refuse(code == SQLITE_AUTH ? refusal_ : sqlite3_errmsg(connection_.handle()));
  }
  // What follows the first statement may be blanks and comments, nothing else.
  sqlite3_stmt* second = nullptr;
  const int rest_code =
      rest ? sqlite3_prepare_v2(connection_.handle(), rest, -1, &second, nullptr) : SQLITE_OK;
  const bool alone = rest_code == SQLITE_OK && second == nullptr;
  sqlite3_finalize(second);
  const char* why = nullptr;
  if (handle == nullptr) {
    why = "it is empty";
  } else if (!alone) {
    why = "it is more than one statement; give each by itself";
  } else if (sqlite3_stmt_isexplain(handle) != 0) {
    why = "EXPLAIN has no place in a transaction";
  }
  if (why != nullptr) {
    sqlite3_finalize(handle);
    return refuse(why);
  }
  if (compiled_.size() >= kMaxCompiled) {
    for (auto& [text, statement] : compiled_) sqlite3_finalize(statement);
    compiled_.clear();
  }
  compiled_.emplace(sql, handle);
  return handle;
}

Status UserStatements::BindAll(sqlite3_stmt* handle, const std::vector<SqlValue>& values) {
  const int count = sqlite3_bind_parameter_count(handle);
  size_t used = 0;
  PreparedStatement binder(handle);
  Status status;
  for (int index = 1; index <= count && status.ok(); ++index) {
    const char* name = sqlite3_bind_parameter_name(handle, index);
    const int number = name ? NumberOf(name) : index;
    if (number < 1 || static_cast<size_t>(number) > values.size()) {
      status = Status(StatusCode::kInvalidArgument,
                      fmt::format("parameter {} has no value ({} given); use ?1, ?2 or $1, $2",
                                  name ? name : "?", values.size()));
      break;
    }
    used = std::max(used, static_cast<size_t>(number));
    if (binder.Bind(index, values[static_cast<size_t>(number) - 1]) != SQLITE_OK) {
      status = Status(StatusCode::kInvalidArgument,
                      fmt::format("parameter {} is too big for SQLite", number));
    }
  }
  if (status.ok() && used != values.size()) {
    status =
        Status(StatusCode::kInvalidArgument,
               fmt::format("{} parameters given, the statement uses {}", values.size(), used));
  }
  if (status.ok()) binder.Release();
  return status;
}

Result<StatementResult> UserStatements::Step(sqlite3_stmt* handle, const Statement& statement,
                                             size_t& room) {
  StatementResult result;
  const bool reads = sqlite3_stmt_readonly(handle) != 0;
  const int columns = sqlite3_column_count(handle);
  int code = sqlite3_step(handle);
  for (; code == SQLITE_ROW; code = sqlite3_step(handle)) {
    if (result.values.size() >= kMaxRows) {
      return Status(StatusCode::kAborted,
                    fmt::format("it returns more than {} rows; narrow it", kMaxRows));
    }
    std::vector<Value> row;
    row.reserve(static_cast<size_t>(columns));
    for (int i = 0; i < columns; ++i) row.push_back(ToValue(ReadColumn(handle, i)));
    Value& taken = result.values.emplace_back(Value{std::move(row)});
    const size_t bytes = SizeInMemory(taken);
    if (bytes > room) {
      return Status(StatusCode::kAborted,
                    fmt::format("\"{}\": {}", statement.text.substr(0, 80), kTooManyResults));
    }
    room -= bytes;
  }
  if (code != SQLITE_DONE) {
    Status failure = connection_.Failure(code, statement.text);
    const bool denied = (code & 0xff) == SQLITE_AUTH;
    return denied ? Status(StatusCode::kInvalidArgument, refusal_) : failure;
  }
  result.rows = reads ? static_cast<int64_t>(result.values.size())
                      : sqlite3_changes64(connection_.handle());
  if (statement.expect_rows && *statement.expect_rows != *result.rows) {
    return Status(StatusCode::kAborted, fmt::format("\"{}\" touched {} rows, expected {}",
                                                    statement.text.substr(0, 80), *result.rows,
                                                    *statement.expect_rows));
  }
  return result;
}

Result<StatementResult> UserStatements::Run(const DatabaseModel& model,
                                            const Statement& statement, size_t& room) {
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<SqlValue> values, ToSqlValues(statement.params));
  model_ = &model;
  Result<StatementResult> result = StatementResult{};
  if (auto handle = Compile(statement.text); !handle.has_value()) {
    result = handle.error();
  } else if (Status bound = BindAll(*handle, values); !bound.ok()) {
    result = bound;
  } else {
    const PreparedStatement in_use(*handle);
    const ValueLimit limit(connection_.handle());
    result = Step(*handle, statement, room);
  }
  model_ = nullptr;
  return result;
}

}  // namespace indoubt::sqlite
