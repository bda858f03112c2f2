// The decision table of a simulated last resource (participants/last_resource.h): one row a
// gid, and a floor below which no commit gets through any more. Each call is one
// transaction, and durable.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "participants/last_resource.h"

namespace indoubt::simulation {

class DecisionTable {
 public:
  const std::map<Gid, std::vector<BranchRecord>>& commits() const { return commits_; }
  const std::set<Gid>& aborts() const { return aborts_; }

  /// Whether the commit row can be written; nobody sees it yet, and no other can be.
  bool BeginCommit(const Gid& gid) {
    if (aborts_.contains(gid) || IsClosed(gid)) return false;
    under_way_.insert(gid);
    return true;
  }
  void Commit(const Gid& gid, const std::vector<BranchRecord>& others) {
    under_way_.erase(gid);
    commits_.emplace(gid, others);
  }
  /// The store has crashed.
  void RollBackUnderWay() { under_way_.clear(); }
  /// The row that stands: an abort row when there was none. Where the wait for a commit
  /// under way would be, it has lasted too long.
  StandingDecision Ask(const Gid& gid) {
    if (under_way_.contains(gid)) return {.reason = "a commit is under way"};
    const auto commit = commits_.find(gid);
    if (commit != commits_.end()) return {DecisionOutcome::kCommitted, commit->second, ""};
    aborts_.insert(gid);
    return {.outcome = DecisionOutcome::kAborted};
  }
  /// Whether its commit row was there.
  bool Remove(const Gid& gid) { return commits_.erase(gid) > 0; }
  /// Who commits late runs into the floor from now on, and needs no abort row.
  void CloseBelow(const Gid& floor) {
    floor_ = std::max(floor_, Age(floor));
    std::erase_if(aborts_, [this](const Gid& gid) { return IsClosed(gid); });
  }

 private:
  using Order = std::pair<uint32_t, uint64_t>;  // there is one log only
  static Order Age(const Gid& gid) { return {gid.incarnation, gid.number}; }
  bool IsClosed(const Gid& gid) const { return Age(gid) < floor_; }

  std::map<Gid, std::vector<BranchRecord>> commits_;
  std::set<Gid> aborts_;
  std::set<Gid> under_way_;
  Order floor_{};
};

}  // namespace indoubt::simulation
