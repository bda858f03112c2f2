#include "cdc/sqlite_handle.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace indoubt::cdc_internal {
namespace {

// How long a statement waits for another connection's lock before it is busy.
constexpr int kBusyMillis = 5000;
constexpr size_t kMaxCachedStatements = 256;

// Before main, as SQLite wants it: it would count each allocation under one lock for all
// connections, and nobody asks for the counts.
const int kUncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);

Status SqliteError(sqlite3* db, std::string_view doing) {
  StatusCode code = StatusCode::kIoError;
  switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      code = StatusCode::kLocked;
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      code = StatusCode::kCorrupt;
      break;
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      code = StatusCode::kInvalidArgument;
      break;
    default:
      break;
  }
  const char* file = sqlite3_db_filename(db, "main");
  return Status(code, fmt::format("SQLite {}: {}: {}", file ? file : "", doing.substr(0, 120),
                                  sqlite3_errmsg(db)));
}

// SQLite itself would make it readable by all (0644 less the umask). Never opens a file
// that is there: closing it again would drop the locks of this process' connections.
Status MakeIfAbsent(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  if (fd >= 0 || errno == EEXIST) return Status::Ok();
  return Status(StatusCode::kUnavailable,
                fmt::format("SQLite {}: {}; the folder must be there and writable", path,
                            std::strerror(errno)));
}

}  // namespace

std::string QuotedName(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

void SqliteQuery::BindText(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_TRANSIENT,
                      SQLITE_UTF8);
}

void SqliteQuery::BindBlob(int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(), SQLITE_TRANSIENT);
}

void SqliteQuery::BindStatic(int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC);
}

void SqliteQuery::BindStaticText(int index, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

Status SqliteQuery::BindValue(int index, const Value& value) {
  if (const auto* boolean = std::get_if<bool>(&value.held)) {
    Bind(index, int64_t{*boolean});
  } else if (const auto* integer = std::get_if<int64_t>(&value.held)) {
    Bind(index, *integer);
  } else if (const auto* real = std::get_if<double>(&value.held)) {
    sqlite3_bind_double(statement_.get(), index, *real);
  } else if (const auto* text = std::get_if<std::string>(&value.held)) {
    BindText(index, *text);
  } else if (const auto* blob = std::get_if<Blob>(&value.held)) {
    BindBlob(index, blob->bytes);
  } else if (std::holds_alternative<std::monostate>(value.held)) {
    sqlite3_bind_null(statement_.get(), index);
  } else {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("parameter {} is a list, which SQLite cannot hold", index));
  }
  return Status::Ok();
}

Result<bool> SqliteQuery::Next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  const Status failed =
      code == SQLITE_DONE ? Status::Ok() : SqliteError(db_, sqlite3_sql(statement_.get()));
  Reset();
  if (!failed.ok()) return failed;
  return false;
}

Status SqliteQuery::Run() {
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, Next());
    if (!more) return Status::Ok();
  }
}

void SqliteQuery::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::string_view SqliteQuery::View(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int length = sqlite3_column_bytes(statement_.get(), column);
  return bytes ? std::string_view(static_cast<const char*>(bytes), static_cast<size_t>(length))
               : std::string_view();
}

std::string SqliteQuery::Bytes(int column) const { return std::string(View(column)); }

Result<std::vector<std::string>> SqliteQuery::Strings() {
  std::vector<std::string> strings;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, Next());
    if (!more) return strings;
    strings.push_back(Bytes(0));
  }
}

std::vector<Value> SqliteQuery::Row() const {
  std::vector<Value> row;
  for (int i = 0; i < sqlite3_column_count(statement_.get()); ++i) {
    switch (sqlite3_column_type(statement_.get(), i)) {
      case SQLITE_INTEGER:
        row.push_back(Value{int64_t{sqlite3_column_int64(statement_.get(), i)}});
        break;
      case SQLITE_FLOAT:
        row.push_back(Value{sqlite3_column_double(statement_.get(), i)});
        break;
      case SQLITE_NULL:
        row.emplace_back();
        break;
      case SQLITE_BLOB:
        row.push_back(Value{Blob{Bytes(i)}});
        break;
      default:
        row.push_back(Value{Bytes(i)});
    }
  }
  return row;
}

Result<std::unique_ptr<SqliteDatabase>> SqliteDatabase::Open(const std::string& path,
                                                             Mode mode) {
  const bool writes = mode == Mode::kDurableWriter || mode == Mode::kShrinkingWriter;
  if (writes) INDOUBT_RETURN_IF_ERROR(MakeIfAbsent(path));
  int flags = mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::kMemory) flags |= SQLITE_OPEN_MEMORY;
  if (mode == Mode::kScratch) flags |= SQLITE_OPEN_CREATE;
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<SqliteDatabase> db(new SqliteDatabase(path, raw));
  if (code != SQLITE_OK) {
    return Status(code == SQLITE_CANTOPEN ? StatusCode::kUnavailable : StatusCode::kIoError,
                  fmt::format("SQLite {}: {}; the file and its folder must be there and "
                              "writable",
                              path, raw ? sqlite3_errmsg(raw) : "out of memory"));
  }
  sqlite3_busy_timeout(raw, kBusyMillis);
  if (mode == Mode::kShrinkingWriter) {
    // Before WAL, which writes the file's first page. Deleted content is overwritten only where
    // its page is written anyway: Debian's SQLite would write each freed page once more.
    INDOUBT_RETURN_IF_ERROR(
        db->Execute("PRAGMA auto_vacuum=INCREMENTAL; PRAGMA secure_delete=FAST"));
  }
  if (writes) {
    INDOUBT_RETURN_IF_ERROR(db->Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"));
  }
  return db;
}

Status SqliteDatabase::CheckPlace() const {
  int moved = 0;
  sqlite3_file_control(db_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (moved == 0) return Status::Ok();
  return Status(StatusCode::kRefused,
                fmt::format("the file {} was removed or replaced under the worker", path_));
}

Status SqliteDatabase::Execute(const std::string& sql) {
  if (sqlite3_exec(db_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return Status::Ok();
  }
  return SqliteError(db_.get(), sql);
}

Result<SqliteQuery> SqliteDatabase::Prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  const char* tail = nullptr;
  if (sqlite3_prepare_v3(db_.get(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                         SQLITE_PREPARE_PERSISTENT, &statement, &tail) != SQLITE_OK) {
    return SqliteError(db_.get(), sql);
  }
  if (statement == nullptr ||
      std::string_view(tail).find_first_not_of(" \t\n;") != std::string_view::npos) {
    sqlite3_finalize(statement);
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("\"{}\" is not one SQL statement", sql.substr(0, 120)));
  }
  return SqliteQuery(db_.get(), statement);
}

Result<SqliteQuery*> SqliteDatabase::Cached(const std::string& sql) {
  const auto found = cache_.find(sql);
  if (found != cache_.end()) return &found->second;
  if (cache_.size() >= kMaxCachedStatements) cache_.clear();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, Prepare(sql));
  return &cache_.emplace(sql, std::move(query)).first->second;
}

Result<SqliteTransaction> SqliteTransaction::Begin(SqliteDatabase& db) {
  INDOUBT_RETURN_IF_ERROR(db.Execute("BEGIN IMMEDIATE"));
  return SqliteTransaction(&db);
}

SqliteTransaction::~SqliteTransaction() {
  if (db_ == nullptr) return;
  // Some errors have rolled back already; then there is nothing to do and to report.
  const Status ignored = db_->Execute("ROLLBACK");
  static_cast<void>(ignored);
}

Status SqliteTransaction::Commit() {
  INDOUBT_RETURN_IF_ERROR(db_->Execute("COMMIT"));
  db_ = nullptr;
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
