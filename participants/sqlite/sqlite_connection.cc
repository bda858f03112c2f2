#include "participants/sqlite/sqlite_connection.h"

#include <chrono>
#include <thread>

#include <fmt/format.h>
#include <sys/stat.h>

namespace indoubt::sqlite {

SqlValue ReadValue(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_value_int64(value)};
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return std::string(text ? text : "", static_cast<size_t>(sqlite3_value_bytes(value)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
      const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
      return Blob{bytes ? std::string(bytes, size) : std::string()};
    }
    default:
      return std::monostate();
  }
}

SqlValue ReadColumn(sqlite3_stmt* statement, int column) {
  return ReadValue(sqlite3_column_value(statement, column));
}

bool IsNull(const SqlValue& value) { return std::holds_alternative<std::monostate>(value); }

namespace {

/// Virtual machine steps between two looks at whether to give up: about 0.1 ms.
constexpr int kStepsBetweenLooks = 4000;

std::string Quoted(std::string_view text, char quote) {
  std::string quoted(1, quote);
  for (char c : text) {
    quoted += c;
    if (c == quote) quoted += c;
  }
  return quoted + quote;
}

}  // namespace

std::string QuoteName(std::string_view name) { return Quoted(name, '"'); }
std::string QuoteText(std::string_view text) { return Quoted(text, '\''); }

PreparedStatement::~PreparedStatement() {
  if (handle_ == nullptr) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

int PreparedStatement::Bind(int index, const SqlValue& value) {
  struct Binder {
    sqlite3_stmt* statement;
    int index;
    int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
    int operator()(int64_t number) const {
      return sqlite3_bind_int64(statement, index, number);
    }
    int operator()(double number) const {
      return sqlite3_bind_double(statement, index, number);
    }
    int operator()(const std::string& text) const {
      return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC,
                                 SQLITE_UTF8);
    }
    int operator()(const Blob& blob) const {
      // An empty blob needs a pointer all the same, else SQLite stores NULL.
      const char* bytes = blob.bytes.empty() ? "" : blob.bytes.data();
      return sqlite3_bind_blob64(statement, index, bytes, blob.bytes.size(), SQLITE_STATIC);
    }
  };
  return std::visit(Binder{handle_, index}, value);
}

Result<std::unique_ptr<Connection>> Connection::Open(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("SQLite file {} does not exist; create it with its tables first, "
                              "e.g. sqlite3 {} \"CREATE TABLE ...\"",
                              path, path));
  }
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
      nullptr);
  std::unique_ptr<Connection> connection(new Connection(db, path));
  if (code != SQLITE_OK) {
    const char* why = db ? sqlite3_errmsg(db) : sqlite3_errstr(code);
    return Status(
        StatusCode::kUnavailable,
        fmt::format("cannot open SQLite file {}: {}; check its permissions", path, why));
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_handler(db, &Connection::OnBusy, connection.get());
  return connection;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close_v2(db_);
}

int Connection::OnBusy(void* self, int attempt) {
  const auto* connection = static_cast<const Connection*>(self);
  if (SystemClock().Now() >= connection->busy_deadline_) return 0;
  // Another writer holds the file for one sync, usually; look again soon at first.
  std::this_thread::sleep_for(std::chrono::microseconds(attempt < 8 ? 200 : 2000));
  return 1;
}

void Connection::SetInterrupt(std::function<bool()> give_up) {
  give_up_ = std::move(give_up);
  sqlite3_progress_handler(db_, give_up_ ? kStepsBetweenLooks : 0,
                           give_up_ ? &Connection::OnProgress : nullptr, this);
}

int Connection::OnProgress(void* self) {
  return static_cast<const Connection*>(self)->give_up_() ? 1 : 0;
}

Result<PreparedStatement> Connection::Prepare(const std::string& sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return Failure(code, sql);
    found = statements_.emplace(sql, statement).first;
  }
  return PreparedStatement(found->second);
}

Status Connection::Run(const std::string& sql, std::span<const SqlValue> params) {
  INDOUBT_ASSIGN_OR_RETURN(PreparedStatement statement, Prepare(sql));
  for (size_t i = 0; i < params.size(); ++i) statement.Bind(static_cast<int>(i) + 1, params[i]);
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(statement.get());
  return code == SQLITE_DONE ? Status::Ok() : Failure(code, sql);
}

Result<std::vector<Row>> Connection::Query(const std::string& sql,
                                           std::span<const SqlValue> params) {
  INDOUBT_ASSIGN_OR_RETURN(PreparedStatement statement, Prepare(sql));
  for (size_t i = 0; i < params.size(); ++i) statement.Bind(static_cast<int>(i) + 1, params[i]);
  std::vector<Row> rows;
  int code = sqlite3_step(statement.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(statement.get())) {
    Row& row = rows.emplace_back();
    const int columns = sqlite3_column_count(statement.get());
    for (int i = 0; i < columns; ++i) row.push_back(ReadColumn(statement.get(), i));
  }
  if (code != SQLITE_DONE) return Failure(code, sql);
  return rows;
}

std::string Connection::ReadOnlyProblem() const {
  if (sqlite3_db_readonly(db_, "main") != 1) return {};
  return fmt::format(
      "{} can only be read; give this user write permission on the file and its folder, and "
      "see that the file system is mounted for writing",
      path_);
}

Status Connection::InWriteTransaction(const std::function<Status()>& work) {
  INDOUBT_RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
  Status status = work();
  if (status.ok()) status = Run("COMMIT");
  // The failure is what the caller needs to hear; this one only tidies up.
  if (!status.ok() && InTransaction()) static_cast<void>(Run("ROLLBACK"));
  return status;
}

Status FileUnavailable(const Status& failed) {
  const bool busy = failed.code() == StatusCode::kLocked;
  return Status(StatusCode::kUnavailable,
                busy ? failed.message() + "; another process holds the file, end it or wait"
                     : failed.message());
}

Status Connection::Failure(int code, std::string_view doing) {
  last_code_ = code & 0xff;
  if (last_code_ == SQLITE_INTERRUPT) {
    return Status(StatusCode::kDeadlineExceeded,
                  fmt::format("SQLite file {}: \"{}\" was stopped: the transaction's deadline "
                              "has passed, or the participant is shutting down",
                              path_, doing.substr(0, 60)));
  }
  StatusCode kind = StatusCode::kInternal;
  if (last_code_ == SQLITE_BUSY || last_code_ == SQLITE_LOCKED) kind = StatusCode::kLocked;
  if (last_code_ == SQLITE_FULL || last_code_ == SQLITE_IOERR ||
      last_code_ == SQLITE_READONLY || last_code_ == SQLITE_CANTOPEN) {
    kind = StatusCode::kIoError;
  }
  if (last_code_ == SQLITE_CORRUPT || last_code_ == SQLITE_NOTADB) kind = StatusCode::kCorrupt;
  if (last_code_ == SQLITE_CONSTRAINT) kind = StatusCode::kAborted;
  return Status(kind, fmt::format("SQLite file {}: {} (in \"{}\")", path_, sqlite3_errmsg(db_),
                                  doing.substr(0, 60)));
}

}  // namespace indoubt::sqlite
