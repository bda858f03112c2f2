// Prepared branches in the database file: stored with their locks, committed,
// rolled back, listed. Every call runs inside the writer's open transaction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "participants/sqlite/capture.h"

namespace indoubt {

/// Another branch that holds a key.
struct Holder {
  std::string branch;
  std::string what;  // the key, for a person
};

class BranchStore {
 public:
  BranchStore(SqliteDatabase& database, const std::map<std::string, ManagedTable>& tables)
      : database_(database), tables_(tables) {}

  /// The first of `keys` that another branch holds against it.
  Result<std::optional<Holder>> FindHolder(const std::string& branch,
                                           const std::set<HeldKey>& keys);
  Status Store(const std::string& branch, const Captured& captured);
  /// A heuristic ack when the branch is lost, or its work no longer fits. An error
  /// is trouble with the database: ask again.
  Result<Ack> Commit(const std::string& branch);
  Status Rollback(const std::string& branch);
  Status Forget(const std::string& branch);
  Result<std::vector<std::string>> List();
  Result<bool> IsPrepared(const std::string& branch);

 private:
  std::string Fingerprint() const;
  Status Execute(const std::string& sql, const std::vector<std::string>& params);
  Status Drop(const std::string& branch);

  SqliteDatabase& database_;
  const std::map<std::string, ManagedTable>& tables_;
};

}  // namespace indoubt
