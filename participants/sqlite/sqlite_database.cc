#include "participants/sqlite/sqlite_database.h"

#include <fmt/format.h>

namespace indoubt {

void SqliteStatement::Bind(int index, const std::string& text) {
  sqlite3_bind_text(statement_, index, text.data(), static_cast<int>(text.size()),
                    SQLITE_TRANSIENT);
}

void SqliteStatement::BindBlob(int index, const std::string& bytes) {
  sqlite3_bind_blob(statement_, index, bytes.data(), static_cast<int>(bytes.size()),
                    SQLITE_TRANSIENT);
}

void SqliteStatement::Bind(int index, const Value& value) {
  struct Visitor {
    SqliteStatement& to;
    int index;
    void operator()(std::monostate) const { sqlite3_bind_null(to.statement_, index); }
    void operator()(bool held) const { sqlite3_bind_int(to.statement_, index, held ? 1 : 0); }
    void operator()(int64_t held) const { sqlite3_bind_int64(to.statement_, index, held); }
    void operator()(double held) const { sqlite3_bind_double(to.statement_, index, held); }
    void operator()(const std::string& held) const { to.Bind(index, held); }
    void operator()(const Blob& held) const { to.BindBlob(index, held.bytes); }
    void operator()(const std::vector<Value>&) const {
      sqlite3_bind_null(to.statement_, index);
    }
  };
  std::visit(Visitor{*this, index}, value.held);
}

std::string SqliteStatement::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return bytes == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

Value SqliteStatement::ColumnValue(int column) const {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER:
      return {int64_t{sqlite3_column_int64(statement_, column)}};
    case SQLITE_FLOAT:
      return {sqlite3_column_double(statement_, column)};
    case SQLITE_TEXT:
      return {Text(column)};
    case SQLITE_BLOB:
      return {Blob{Text(column)}};
    default:
      return {};
  }
}

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(db));
  if (code != SQLITE_OK) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("cannot open {}: {}; make the database file and its tables first",
                              path, db != nullptr ? sqlite3_errmsg(db) : "out of memory"));
  }
  sqlite3_extended_result_codes(db, 1);
  return database;
}

SqliteDatabase::~SqliteDatabase() {
  for (auto& [sql, statement] : cache_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Status SqliteDatabase::Run(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Status::Ok() : Error(sql.substr(0, 60));
}

SqliteStatement SqliteDatabase::Cached(const std::string& sql) {
  sqlite3_stmt*& statement = cache_[sql];
  if (statement == nullptr) {
    const int code = sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                        &statement, nullptr);
    // A statement over a user's table fails when the table was dropped; Step then
    // says so (SQLITE_MISUSE on null).
    if (code != SQLITE_OK) cache_.erase(sql);
    if (code != SQLITE_OK) return SqliteStatement(nullptr);
  }
  return SqliteStatement(statement);
}

Result<std::string> SqliteDatabase::Ask(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return Error(sql);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(raw, sqlite3_finalize);
  const int code = sqlite3_step(raw);
  if (code == SQLITE_DONE) return std::string();
  if (code != SQLITE_ROW) return Error(sql);
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, 0));
  return std::string(text == nullptr ? "" : text);
}

Status SqliteDatabase::Error(const std::string& what) {
  const int code = sqlite3_extended_errcode(db_);
  StatusCode status = StatusCode::kAborted;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      status = StatusCode::kLocked;
      break;
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      status = StatusCode::kIoError;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      status = StatusCode::kCorrupt;
      break;
    default:
      break;
  }
  return Status(status, fmt::format("{}: {}", what, sqlite3_errmsg(db_)));
}

}  // namespace indoubt
