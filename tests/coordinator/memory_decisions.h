// A decision log in memory for coordinator tests. What it holds is kept apart from
// the log object, so that a test can end one coordinator and start the next on it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "recovery/decision_log.h"

namespace indoubt {

/// What survives a restart. Thread-safe through `mutex`.
struct MemoryDecisions {
  LogId id = LogId::Random();
  uint32_t incarnation = 0;
  bool accepted = false;
  std::map<Gid, Decision> unended;
  std::set<Gid> ended;
  std::vector<HeuristicRecord> heuristics;
  Status health;
  bool fail_next_decision = false;  // as a failed sync: the record survives
  int decisions = 0, aborts = 0;
  mutable std::mutex mutex;
};

class MemoryDecisionLog : public DecisionLog {
 public:
  /// Opens: raises the incarnation. `state` must outlive it.
  explicit MemoryDecisionLog(MemoryDecisions& state) : state_(state) {
    std::lock_guard lock(state_.mutex);
    incarnation_ = ++state_.incarnation;
    state_.health = Status::Ok();
  }

  const LogId& id() const override { return state_.id; }
  uint32_t incarnation() const override { return incarnation_; }
  bool accepted() const override {
    std::lock_guard lock(state_.mutex);
    return state_.accepted || !state_.unended.empty() || !state_.ended.empty();
  }
  void Accept(LogCallback done) override {
    Status health;
    {
      std::lock_guard lock(state_.mutex);
      health = state_.health;
      state_.accepted = state_.accepted || health.ok();
    }
    done(health);
  }

  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done) override {
    Status why;
    {
      std::lock_guard lock(state_.mutex);
      if (outcome == DecisionOutcome::kAborted) {
        ++state_.aborts;
      } else {
        ++state_.decisions;
        state_.unended[gid] = {gid, std::move(branches)};
        if (state_.fail_next_decision) {
          state_.fail_next_decision = false;
          state_.health = Status(StatusCode::kIoError, "the sync failed; restart");
        }
        why = state_.health;
      }
    }
    done(why.ok() ? outcome : DecisionOutcome::kUnknown, why);
  }

  void End(const Gid& gid) override {
    std::lock_guard lock(state_.mutex);
    INDOUBT_CHECK(state_.unended.erase(gid) == 1, "ended twice or never decided");
    state_.ended.insert(gid);
  }

  void RecordHeuristic(HeuristicRecord record, LogCallback done) override {
    Status health;
    {
      std::lock_guard lock(state_.mutex);
      health = state_.health;
      if (health.ok()) state_.heuristics.push_back(std::move(record));
    }
    done(health);
  }

  void ForgetHeuristics(const Gid& gid, LogCallback done) override {
    {
      std::lock_guard lock(state_.mutex);
      std::erase_if(state_.heuristics, [&](const auto& record) { return record.gid == gid; });
    }
    done(Status::Ok());
  }

  std::vector<Decision> Unended() const override {
    std::lock_guard lock(state_.mutex);
    std::vector<Decision> decisions;
    for (const auto& [gid, decision] : state_.unended) decisions.push_back(decision);
    return decisions;
  }
  std::vector<HeuristicRecord> Heuristics() const override {
    std::lock_guard lock(state_.mutex);
    return state_.heuristics;
  }
  LoggedState Find(const Gid& gid) const override {
    std::lock_guard lock(state_.mutex);
    if (state_.unended.contains(gid)) return LoggedState::kCommitted;
    return state_.ended.contains(gid) ? LoggedState::kEnded : LoggedState::kUnknown;
  }
  Status health() const override {
    std::lock_guard lock(state_.mutex);
    return state_.health;
  }

 private:
  MemoryDecisions& state_;
  uint32_t incarnation_ = 0;
};

}  // namespace indoubt
