// SQLite connections and statements with owners, and errors as Status. Private to
// this room.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

#include "base/status.h"
#include "participants/participant.h"

namespace indoubt::cdc_internal {

/// `name` as an SQL identifier, "quoted".
std::string QuotedName(std::string_view name);

/// A prepared statement. Parameters count from 1, columns from 0.
class SqliteQuery {
 public:
  SqliteQuery(sqlite3* db, sqlite3_stmt* statement)
      : db_(db), statement_(statement, sqlite3_finalize) {}

  void Bind(int index, int64_t value) { sqlite3_bind_int64(statement_.get(), index, value); }
  void Bind(int index, uint64_t value) { Bind(index, static_cast<int64_t>(value)); }
  void Bind(int index, double value) { sqlite3_bind_double(statement_.get(), index, value); }
  void BindText(int index, std::string_view text);
  void BindBlob(int index, std::string_view bytes);
  /// Without a copy: `bytes`, or `text`, must stay until the next Reset.
  void BindStatic(int index, std::string_view bytes);
  void BindStaticText(int index, std::string_view text);
  void BindNull(int index) { sqlite3_bind_null(statement_.get(), index); }
  /// kInvalidArgument for a list, which SQLite does not have.
  Status BindValue(int index, const Value& value);
  int parameters() const { return sqlite3_bind_parameter_count(statement_.get()); }

  /// Steps to the next row; false at the end. Resets itself at the end.
  Result<bool> Next();
  /// Runs to the end, dropping rows, and resets.
  Status Run();
  void Reset();

  uint64_t U64(int column) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_.get(), column));
  }
  std::string Bytes(int column) const;
  /// The same without a copy, until the next step.
  std::string_view View(int column) const;
  /// The first column of every row that is left.
  Result<std::vector<std::string>> Strings();
  /// All columns of the present row.
  std::vector<Value> Row() const;

 private:
  sqlite3* db_;
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement_;

 public:
  SqliteQuery(SqliteQuery&&) = default;
};

/// A connection. Belongs to one thread.
class SqliteDatabase {
 public:
  enum class Mode { kReadOnly, kDurableWriter, kShrinkingWriter, kMemory, kScratch };
  /// kDurableWriter makes the file if absent (0600), and sets WAL and
  /// synchronous=FULL: a commit is on the disk when it returns.
  /// kShrinkingWriter: the same, and a file that it makes can be made smaller later (PRAGMA
  /// incremental_vacuum).
  /// kMemory: a database of its own that goes with it. kScratch, with an empty path: the same,
  /// in a temporary file once it is large.
  static Result<std::unique_ptr<SqliteDatabase>> Open(const std::string& path, Mode mode);

  Status Execute(const std::string& sql);
  Result<SqliteQuery> Prepare(const std::string& sql);
  /// A statement kept for the next time; at most 256 are.
  Result<SqliteQuery*> Cached(const std::string& sql);
  int64_t Changes() const { return sqlite3_changes64(db_.get()); }
  /// kRefused when its file is not at its path any more: it was removed, renamed, or another
  /// one was put there, and what is written is nobody's.
  Status CheckPlace() const;
  const std::string& path() const { return path_; }

 private:
  SqliteDatabase(std::string path, sqlite3* db)
      : path_(std::move(path)), db_(db, sqlite3_close) {}
  std::string path_;
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> db_;
  std::map<std::string, SqliteQuery> cache_;  // after db_: goes first
};

/// An open SQLite transaction that wants to write; rolled back unless committed.
class SqliteTransaction {
 public:
  static Result<SqliteTransaction> Begin(SqliteDatabase& db);
  SqliteTransaction(SqliteTransaction&& other) noexcept
      : db_(std::exchange(other.db_, nullptr)) {}
  ~SqliteTransaction();
  Status Commit();

 private:
  explicit SqliteTransaction(SqliteDatabase* db) : db_(db) {}
  SqliteDatabase* db_;
};

}  // namespace indoubt::cdc_internal
