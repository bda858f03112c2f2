#include <fmt/format.h>
#include <sqlite3.h>

#include "experiments/stores/store_clients.h"

namespace indoubt {
namespace {

using Prepared = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;

Status Failed(sqlite3* database, int code) {
  const bool busy = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED;
  return Status(busy ? StatusCode::kLocked : StatusCode::kAborted,
                fmt::format("SQLite: {}", sqlite3_errmsg(database)));
}

}  // namespace

SqliteClient::SqliteClient(sqlite3* database) : database_(database, sqlite3_close_v2) {}

Result<std::unique_ptr<SqliteClient>> SqliteClient::Open(const std::string& path, bool create,
                                                         Duration busy) {
  sqlite3* raw = nullptr;
  const int flags =
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  std::unique_ptr<SqliteClient> client(new SqliteClient(raw));
  if (code != SQLITE_OK) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("SQLite: cannot open {}: {}", path, sqlite3_errstr(code)));
  }
  sqlite3_extended_result_codes(raw, 1);
  using std::chrono::milliseconds;
  sqlite3_busy_timeout(
      raw, static_cast<int>(std::chrono::duration_cast<milliseconds>(busy).count()));
  INDOUBT_RETURN_IF_ERROR(client->Run("PRAGMA synchronous=FULL"));
  return client;
}

Result<std::vector<Row>> SqliteClient::Query(const std::string& sql,
                                             const std::vector<Cell>& params) {
  sqlite3* database = database_.get();
  sqlite3_stmt* raw = nullptr;
  last_code_ = sqlite3_prepare_v2(database, sql.c_str(), -1, &raw, nullptr);
  if (last_code_ != SQLITE_OK) return Failed(database, last_code_);
  const Prepared statement(raw, sqlite3_finalize);
  for (size_t i = 0; i < params.size(); ++i) {
    const int index = static_cast<int>(i) + 1;
    last_code_ = params[i]
                     ? sqlite3_bind_text(raw, index, params[i]->data(),
                                         static_cast<int>(params[i]->size()), SQLITE_TRANSIENT)
                     : sqlite3_bind_null(raw, index);
    if (last_code_ != SQLITE_OK) return Failed(database, last_code_);
  }
  std::vector<Row> rows;
  while ((last_code_ = sqlite3_step(raw)) == SQLITE_ROW) {
    Row row;
    for (int c = 0; c < sqlite3_column_count(raw); ++c) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(raw, c));
      row.push_back(text == nullptr ? Cell() : Cell(text));
    }
    rows.push_back(std::move(row));
  }
  if (last_code_ != SQLITE_DONE) return Failed(database, last_code_);
  return rows;
}

Status SqliteClient::Run(const std::string& sql) {
  last_code_ = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return last_code_ == SQLITE_OK ? Status::Ok() : Failed(database_.get(), last_code_);
}

}  // namespace indoubt
