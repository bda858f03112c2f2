// SQLite's C interface with owners and Status instead of return codes.
#pragma once

#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "participants/participant.h"

namespace indoubt {

/// A prepared statement, reset whenever it is taken from the cache. Parameters are
/// numbered from 1, columns from 0.
class SqliteStatement {
 public:
  explicit SqliteStatement(sqlite3_stmt* statement) : statement_(statement) {}
  ~SqliteStatement() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  void Bind(int index, const std::string& text);
  void BindBlob(int index, const std::string& bytes);
  void Bind(int index, const Value& value);
  void Bind(int index, sqlite3_value* value) { sqlite3_bind_value(statement_, index, value); }
  /// SQLITE_ROW, SQLITE_DONE or an error.
  int Step() { return sqlite3_step(statement_); }
  std::string Text(int column) const;
  Value ColumnValue(int column) const;
  sqlite3_stmt* get() { return statement_; }

 private:
  sqlite3_stmt* statement_;  // the cache's, or the caller's
};

/// A connection. Belongs to one thread at a time.
class SqliteDatabase {
 public:
  /// Opens an existing file. kUnavailable when it is not there or cannot be opened.
  static Result<std::unique_ptr<SqliteDatabase>> Open(const std::string& path);
  ~SqliteDatabase();
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  sqlite3* get() { return db_; }
  /// Runs SQL without results.
  Status Run(const std::string& sql);
  /// Prepared once a text, kept for the connection's life (statements of our own,
  /// whose number is bounded by the schema). Check-fails for SQL that is wrong.
  SqliteStatement Cached(const std::string& sql);
  /// The first column of the first row; empty when there is none.
  Result<std::string> Ask(const std::string& sql);
  /// The error of the last call as a Status: busy is kLocked, a broken rule
  /// kAborted, disk trouble kIoError.
  Status Error(const std::string& what);

 private:
  explicit SqliteDatabase(sqlite3* db) : db_(db) {}
  sqlite3* db_;
  std::map<std::string, sqlite3_stmt*> cache_;
};

}  // namespace indoubt
