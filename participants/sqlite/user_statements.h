// Runs a user's SQL: one statement a text, no more allowed than reading anything and
// changing rows of managed tables. Compiled statements are kept.
#pragma once

#include <unordered_map>

#include "participants/sqlite/table_model.h"

namespace indoubt::sqlite {

/// Holds the connection's authorizer. Thread-compatible.
class UserStatements {
 public:
  explicit UserStatements(Connection& connection);
  ~UserStatements();
  UserStatements(const UserStatements&) = delete;
  UserStatements& operator=(const UserStatements&) = delete;

  /// kInvalidArgument for SQL that does not compile, is not allowed here or does not
  /// fit its parameters; kAborted when it fails or misses expect_rows;
  /// kDeadlineExceeded when the connection's interrupt stopped it (a writing one takes
  /// the whole open transaction with it: SQLite's rule). At most kMaxRows rows come back,
  /// and at most `room` bytes (SizeInMemory), by which it is lessened; no single value
  /// that is read or written may have more than kMaxResultBytes.
  Result<StatementResult> Run(const DatabaseModel& model, const Statement& statement,
                              size_t& room);

  static constexpr size_t kMaxRows = 100'000;

 private:
  Result<sqlite3_stmt*> Compile(const std::string& sql);
  Status BindAll(sqlite3_stmt* handle, const std::vector<SqlValue>& values);
  Result<StatementResult> Step(sqlite3_stmt* handle, const Statement& statement, size_t& room);
  static int Authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  bool Allowed(int action, const char* first, const char* second, const char* database);

  Connection& connection_;
  const DatabaseModel* model_ = nullptr;  // null: a statement of ours, all allowed
  std::string refusal_;
  std::unordered_map<std::string, sqlite3_stmt*> compiled_;
};

}  // namespace indoubt::sqlite
