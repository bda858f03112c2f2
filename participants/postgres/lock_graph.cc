#include "participants/postgres/lock_graph.h"

#include <set>

namespace indoubt::pg {
namespace {

// A branch says its gid as application_name while it runs, and as its name once it is
// prepared. A prepared transaction has no pid: pg_locks shows it as the holder of what
// the waiter wants, and by the lock that it has on its own transaction id, who it is.
constexpr const char* kWaitsQuery =
    "SELECT w.pid, b.pid, CASE WHEN b.pid <> 0 THEN h.application_name ELSE ("
    "SELECT pg_catalog.string_agg(DISTINCT p.gid, ' ') FROM pg_catalog.pg_locks wanted "
    "JOIN pg_catalog.pg_locks held ON held.locktype = wanted.locktype AND held.granted "
    "AND held.pid IS NULL AND (held.database, held.relation, held.page, held.tuple, "
    "held.virtualxid, held.transactionid, held.classid, held.objid, held.objsubid) "
    "IS NOT DISTINCT FROM (wanted.database, wanted.relation, wanted.page, wanted.tuple, "
    "wanted.virtualxid, wanted.transactionid, wanted.classid, wanted.objid, "
    "wanted.objsubid) "
    "JOIN pg_catalog.pg_locks self ON self.virtualtransaction = held.virtualtransaction "
    "AND self.pid IS NULL AND self.granted AND self.locktype = 'transactionid' "
    "JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = self.transactionid "
    "WHERE wanted.pid = w.pid AND NOT wanted.granted "
    "AND pg_catalog.starts_with(p.gid, 'idt:')) END "
    "FROM pg_catalog.pg_stat_activity w "
    "CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS b(pid) "
    "LEFT JOIN pg_catalog.pg_stat_activity h ON h.pid = b.pid "
    "WHERE w.wait_event_type = 'Lock'";

/// The transactions that `text` names: a gid, or branches with spaces between them.
std::vector<Gid> HoldersIn(std::string_view text) {
  std::vector<Gid> holders;
  while (!text.empty()) {
    const size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (auto branch = BranchId::Parse(word)) {
      holders.push_back(std::move(branch->gid));
    } else if (auto gid = Gid::Parse(word)) {
      holders.push_back(*std::move(gid));
    }
  }
  return holders;
}

}  // namespace

Command AskLockWaits() { return {.text = kWaitsQuery}; }

LockGraph::LockGraph(const ScriptReply& reply) {
  if (reply.replies.empty() || reply.replies.front().kind != Reply::Kind::kDone) return;
  for (const Value& value : reply.replies.front().result.values) {
    const auto& row = std::get<std::vector<Value>>(value.held);
    const auto* holders = std::get_if<std::string>(&row.at(2).held);
    Add(static_cast<int>(std::get<int64_t>(row.at(0).held)),
        static_cast<int>(std::get<int64_t>(row.at(1).held)),
        holders == nullptr ? std::vector<Gid>() : HoldersIn(*holders));
  }
}

void LockGraph::Add(int waiter, int blocker, std::vector<Gid> holders) {
  obstacles_[waiter].push_back({blocker, std::move(holders)});
}

std::optional<Gid> LockGraph::MustGiveWayTo(int waiter, const Gid& gid) const {
  std::set<int> seen{waiter};
  std::vector<int> left{waiter};
  std::optional<Gid> oldest;
  while (!left.empty()) {
    const auto at = obstacles_.find(left.back());
    left.pop_back();
    if (at == obstacles_.end()) continue;
    for (const Obstacle& obstacle : at->second) {
      if (obstacles_.contains(obstacle.blocker)) {
        if (seen.insert(obstacle.blocker).second) left.push_back(obstacle.blocker);
        continue;
      }
      for (const Gid& holder : obstacle.holders) {
        if (holder <= gid && (!oldest || holder < *oldest)) oldest = holder;
      }
    }
  }
  return oldest;
}

}  // namespace indoubt::pg
