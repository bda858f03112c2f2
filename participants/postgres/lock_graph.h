// Who holds up whom: a picture of the server's lock waits, and what wait-die says
// of one that waits.
//
// Ages are compared as Gid compares: within one log the older incarnation, then the
// smaller number. Transactions of different logs have no common age; among them the
// text of node and log decides, which is arbitrary, but the same everywhere, so that
// of two that wait for each other exactly one is the younger.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "participants/postgres/connection.h"

namespace indoubt::pg {

/// The query whose reply a LockGraph is made from. It takes the lock manager's locks
/// once for each backend that waits, and does nothing where none does.
Command AskLockWaits();

/// Who waits for whom, by backend pid. A value.
class LockGraph {
 public:
  LockGraph() = default;
  /// Empty when the server gave no answer.
  explicit LockGraph(const ScriptReply& reply);

  /// `waiter` waits for `blocker`, which runs or is prepared (pid 0) for `holders`;
  /// none: not indoubt's.
  void Add(int waiter, int blocker, std::vector<Gid> holders);

  /// The oldest transaction that holds `waiter` up and for which `gid`, the waiter's,
  /// must not wait: an older one, or another branch of its own. What waits for a lock
  /// here itself does not count, but what that waits for: a queue at a row is the
  /// fault of its head only. None: `waiter` may go on waiting.
  std::optional<Gid> MustGiveWayTo(int waiter, const Gid& gid) const;

 private:
  struct Obstacle {
    int blocker = 0;
    std::vector<Gid> holders;
  };
  std::map<int, std::vector<Obstacle>> obstacles_;  // by waiter
};

}  // namespace indoubt::pg
