// The locks that a branch holds while it is in doubt.
#pragma once

#include "participants/sqlite/change_set.h"

namespace indoubt::sqlite {

struct RowLock {
  std::string space;
  SqlValue key;
  char mode = 'x';  // as in table indoubt_lock
};

/// Old and new values of every key of every changed row ('x'); parent keys that go
/// away ('g'); all keys of parents that new rows point to ('r'). Reads the parents'
/// rows, so the changes must be undone. Keys with a NULL are not locked.
Result<std::vector<RowLock>> LocksOf(Connection& connection, const DatabaseModel& model,
                                     const ChangeSet& changes);

/// The gid of another branch that holds a lock which conflicts with one of these;
/// empty when there is none.
Result<std::string> FindHolder(Connection& connection, const std::vector<RowLock>& locks);

Status StoreLocks(Connection& connection, const std::vector<RowLock>& locks,
                  const SqlValue& gid, const SqlValue& participant);

}  // namespace indoubt::sqlite
