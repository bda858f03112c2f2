// Captures what statements change, through SQLite's pre-update hook: the hook that
// the session extension itself stands on, without its second reading of each row.
#pragma once

#include <unordered_map>

#include "participants/sqlite/change_set.h"

namespace indoubt::sqlite {

/// Holds the connection's pre-update hook. Thread-compatible.
class ChangeCapture {
 public:
  explicit ChangeCapture(Connection& connection);
  ~ChangeCapture();
  ChangeCapture(const ChangeCapture&) = delete;
  ChangeCapture& operator=(const ChangeCapture&) = delete;

  /// Starts to capture changes of the managed tables of `model`, which must outlive
  /// the capture.
  void Start(const DatabaseModel& model);
  /// Stops; the net changes since Start, rows that ended as they began left out.
  ChangeSet Stop();
  /// Why what happened since Start cannot be kept: a NULL in a primary key, or a
  /// change of a table that is not managed. Ok when it can.
  const Status& problem() const { return problem_; }

 private:
  static void OnChange(void* self, sqlite3* db, int operation, const char* database,
                       const char* table, sqlite3_int64 old_rowid, sqlite3_int64 new_rowid);
  void Add(sqlite3* db, int operation, const char* database, const char* table);
  Row Read(sqlite3* db, const TableModel& table, bool old_row);
  std::string KeyOf(const TableModel& table, const Row& row);
  RowChange& Entry(const TableModel& table, const std::string& key, bool& fresh);
  void Deleted(const TableModel& table, Row row);
  void Inserted(const TableModel& table, Row row);

  Connection& connection_;
  const DatabaseModel* model_ = nullptr;  // null: not capturing
  ChangeSet changes_;
  std::unordered_map<std::string, size_t> by_key_;
  Status problem_;
};

}  // namespace indoubt::sqlite
