// One connection to a SQLite file: RAII, statuses, and statements kept compiled.
#pragma once

#ifndef SQLITE_ENABLE_PREUPDATE_HOOK
#define SQLITE_ENABLE_PREUPDATE_HOOK  // compiled into Debian's library; hidden without
#endif
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <sqlite3.h>

#include "base/clock.h"
#include "base/status.h"
#include "participants/participant.h"

namespace indoubt::sqlite {

/// A value as SQLite stores it.
using SqlValue = std::variant<std::monostate, int64_t, double, std::string, Blob>;
using Row = std::vector<SqlValue>;

SqlValue ReadValue(sqlite3_value* value);
SqlValue ReadColumn(sqlite3_stmt* statement, int column);
bool IsNull(const SqlValue& value);

/// `name` as an SQL identifier, "quoted".
std::string QuoteName(std::string_view name);
/// `text` as an SQL string literal.
std::string QuoteText(std::string_view text);

/// A compiled statement in use: reset, and its bindings dropped, at the end.
class PreparedStatement {
 public:
  explicit PreparedStatement(sqlite3_stmt* handle) : handle_(handle) {}
  PreparedStatement(PreparedStatement&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  PreparedStatement& operator=(PreparedStatement&&) = delete;
  ~PreparedStatement();
  sqlite3_stmt* get() const { return handle_; }
  /// Binds `value` to ?index; the value must outlive the statement's use.
  int Bind(int index, const SqlValue& value);
  /// Leaves statement and bindings as they are.
  void Release() { handle_ = nullptr; }

 private:
  sqlite3_stmt* handle_;
};

/// Thread-compatible; no mutex of SQLite's own.
class Connection {
 public:
  /// Opens an existing file. kUnavailable when it is missing or cannot be opened.
  static Result<std::unique_ptr<Connection>> Open(const std::string& path);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  sqlite3* handle() const { return db_; }
  const std::string& path() const { return path_; }

  /// Why SQLite can only read the file, with the remedy; empty when it can write. (A BEGIN
  /// IMMEDIATE succeeds even where it cannot.)
  std::string ReadOnlyProblem() const;

  /// Waits for another process' lock at most until then, from now on.
  void SetBusyDeadline(TimePoint deadline) { busy_deadline_ = deadline; }

  /// From now on statements are interrupted (SQLITE_INTERRUPT) once `give_up` says so,
  /// asked every few thousand steps; none: they run to their end.
  void SetInterrupt(std::function<bool()> give_up);

  /// A statement of ours, compiled once.
  Result<PreparedStatement> Prepare(const std::string& sql);
  /// Runs one statement of ours whose rows nobody wants.
  Status Run(const std::string& sql, std::span<const SqlValue> params = {});
  /// Runs one statement of ours and returns its rows.
  Result<std::vector<Row>> Query(const std::string& sql, std::span<const SqlValue> params = {});

  /// Runs `work` in a write transaction, which is committed when that is Ok and else
  /// rolled back. Returns what failed first.
  Status InWriteTransaction(const std::function<Status()>& work);

  /// Whether a transaction is open (SQLite ends one by itself on some errors).
  bool InTransaction() const { return sqlite3_get_autocommit(db_) == 0; }
  /// SQLite's primary result code of the last failure.
  int last_code() const { return last_code_; }
  /// The status of a failed call: what SQLite says, on which file.
  Status Failure(int code, std::string_view doing);

 private:
  Connection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  static int OnBusy(void* self, int attempt);
  static int OnProgress(void* self);

  sqlite3* db_;
  std::string path_;
  int last_code_ = SQLITE_OK;
  TimePoint busy_deadline_{};
  std::function<bool()> give_up_;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

/// `failed`, where it kept a participant from its file, as kUnavailable: with what to do
/// about a file that somebody else holds.
Status FileUnavailable(const Status& failed);

}  // namespace indoubt::sqlite
