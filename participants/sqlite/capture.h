// A branch's work on the writer's connection: run it, capture it as a changeset,
// find the keys that it must hold, and prove that the changeset does the same.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "participants/sqlite/managed_tables.h"

namespace indoubt {

struct HeldKey {
  std::string table, index, key;
  bool shared = false;  // mode "s"
  friend auto operator<=>(const HeldKey&, const HeldKey&) = default;
};

struct Captured {
  std::vector<StatementResult> results;  // of the statements run now
  std::string changeset;                 // of everything so far; empty: nothing changed
  std::set<HeldKey> keys;
};

/// What the statements of a branch may do: read, and insert, update and delete in
/// managed tables. Everything else (DDL, PRAGMA, ATTACH, COMMIT) is refused while
/// one of these lives.
class StatementGuard {
 public:
  StatementGuard(SqliteDatabase& database, const std::map<std::string, ManagedTable>& tables);
  ~StatementGuard();
  StatementGuard(const StatementGuard&) = delete;
  StatementGuard& operator=(const StatementGuard&) = delete;
  const std::string& refusal() const { return refusal_; }

 private:
  static int Authorize(void* self, int action, const char* first, const char* second,
                       const char* database, const char* trigger);
  int Judge(int action, const std::string& first, const std::string& second);

  SqliteDatabase& database_;
  const std::map<std::string, ManagedTable>& tables_;
  std::string refusal_;
};

/// Runs statements; stops at the first that fails. kAborted with the reason.
Result<std::vector<StatementResult>> RunStatements(
    SqliteDatabase& database, const std::map<std::string, ManagedTable>& tables,
    const std::vector<Statement>& statements);

/// Inside an open savepoint "branch": re-applies `earlier`, runs `statements`,
/// captures all of it, proves by a trial that the captured bytes give the same, and
/// leaves the database as it found it. kAborted: the vote is no, with the reason.
Result<Captured> CaptureWork(SqliteDatabase& database,
                             const std::map<std::string, ManagedTable>& tables,
                             const std::string& earlier,
                             const std::vector<Statement>& statements);

/// Applies a changeset; any conflict is kAborted and leaves a part applied (the
/// caller's savepoint undoes it).
Status ApplyChangeset(SqliteDatabase& database, const std::string& changeset);

}  // namespace indoubt
