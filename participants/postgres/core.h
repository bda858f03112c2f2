// What a PostgreSQL participant and its branches share.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "participants/postgres/pool.h"
#include "participants/postgres/wait_watch.h"

namespace indoubt::pg {

/// How long past its deadline a script may still run before its connection is cut.
/// Its caller has been answered by then; reading on keeps a rollback behind it.
inline constexpr Duration kAnswerGrace = std::chrono::seconds(2);

/// The prepares that have no end yet, and the rollbacks that wait for them. The
/// pool's thread only.
class UnansweredPrepares {
 public:
  void Start(const std::string& branch) { waiting_[branch]; }
  /// Runs what waited for it.
  void End(const std::string& branch);
  /// Keeps `task` until the prepare of `branch` ends; false when there is none.
  bool RunAfter(const std::string& branch, std::function<void()> task);

 private:
  std::unordered_map<std::string, std::vector<std::function<void()>>> waiting_;
};

/// Declared so that the pool's thread ends before anything it uses.
struct Core {
  /// `prepares`: whether branches are ever prepared here (not at a last resource).
  Core(std::string participant, ConnectionString where, int max_connections, bool prepares)
      : name(std::move(participant)), pool(std::move(where), max_connections, prepares) {}
  const std::string name;
  UnansweredPrepares unanswered;
  WaitWatch waits{pool};
  Pool pool;
};

}  // namespace indoubt::pg
