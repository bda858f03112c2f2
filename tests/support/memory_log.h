// A DecisionLog in memory: what the file log promises, without a disk. For tests
// of the coordinator and of recovery; a restart is a second log made from the
// first one's contents.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "recovery/decision_log.h"

namespace indoubt {

/// Callbacks run on the caller's thread, before the call returns, unless
/// HoldCallbacks() keeps them until Release(). Thread-safe.
class MemoryLog final : public DecisionLog {
 public:
  MemoryLog() : id_(LogId::Random()) {}
  explicit MemoryLog(LogId id) : id_(std::move(id)) {}

  /// The log as the next process finds it: same identity, incarnation one
  /// higher, everything that was durable in `before`.
  static std::unique_ptr<MemoryLog> Reopen(const MemoryLog& before) {
    const std::lock_guard lock(before.mutex_);
    auto log = std::make_unique<MemoryLog>(before.id_);
    log->incarnation_ = before.incarnation_ + 1;
    log->accepted_ = before.accepted_;
    log->unended_ = before.unended_;
    log->ended_ = before.ended_;
    log->heuristics_ = before.heuristics_;
    return log;
  }

  /// From now on every write fails and the log is stopped for good. With
  /// `record_survives` the record of the next Decide is there after Reopen all
  /// the same, as after a failed sync whose bytes reached the disk.
  void FailWrites(Status why, bool record_survives = false) {
    const std::lock_guard lock(mutex_);
    health_ = std::move(why);
    survivor_wanted_ = record_survives;
  }
  /// Keeps callbacks (as a slow disk would) until Release().
  void HoldCallbacks() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  /// Runs what was kept, in order, and keeps nothing from now on.
  void Release() {
    std::deque<std::function<void()>> held;
    {
      const std::lock_guard lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (auto& callback : held) callback();
  }

  const LogId& id() const override { return id_; }
  uint32_t incarnation() const override { return incarnation_; }
  bool accepted() const override {
    const std::lock_guard lock(mutex_);
    return accepted_ || !unended_.empty() || !ended_.empty();
  }
  void Accept(LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(mutex_);
      status = health_;
      accepted_ = accepted_ || status.ok();
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done) override {
    DecisionOutcome stands = outcome;
    Status why;
    {
      const std::lock_guard lock(mutex_);
      if (outcome != DecisionOutcome::kCommitted && IsCommitted(gid)) {
        stands = DecisionOutcome::kCommitted;
      } else if (outcome == DecisionOutcome::kCommitted) {
        if (health_.ok() || std::exchange(survivor_wanted_, false)) {
          unended_.push_back(Decision{gid, std::move(branches)});
        }
        if (!health_.ok()) stands = DecisionOutcome::kUnknown;
        why = health_;
      }
    }
    Answer([done = std::move(done), stands, why = std::move(why)] { done(stands, why); });
  }

  void End(const Gid& gid) override {
    const std::lock_guard lock(mutex_);
    if (!health_.ok()) return;
    if (std::erase_if(unended_, [&](const Decision& d) { return d.gid == gid; }) > 0) {
      ended_.insert(gid);
    }
  }

  void RecordHeuristic(HeuristicRecord record, LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(mutex_);
      status = health_;
      if (status.ok()) {
        const auto key = std::pair(record.gid, record.participant);
        heuristics_.insert_or_assign(key, std::move(record));
      }
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  void ForgetHeuristics(const Gid& gid, LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(mutex_);
      status = health_;
      if (status.ok()) {
        std::erase_if(heuristics_, [&](const auto& entry) { return entry.first.first == gid; });
      }
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  std::vector<Decision> Unended() const override {
    const std::lock_guard lock(mutex_);
    return unended_;
  }
  std::vector<HeuristicRecord> Heuristics() const override {
    const std::lock_guard lock(mutex_);
    std::vector<HeuristicRecord> records;
    for (const auto& [key, record] : heuristics_) records.push_back(record);
    return records;
  }
  LoggedState Find(const Gid& gid) const override {
    const std::lock_guard lock(mutex_);
    for (const Decision& decision : unended_) {
      if (decision.gid == gid) return LoggedState::kCommitted;
    }
    return ended_.count(gid) > 0 ? LoggedState::kEnded : LoggedState::kUnknown;
  }
  Status health() const override {
    const std::lock_guard lock(mutex_);
    return health_;
  }

 private:
  bool IsCommitted(const Gid& gid) const {  // needs the mutex
    return ended_.count(gid) > 0 ||
           std::any_of(unended_.begin(), unended_.end(),
                       [&](const Decision& decision) { return decision.gid == gid; });
  }
  void Answer(std::function<void()> callback) {
    {
      const std::lock_guard lock(mutex_);
      if (holding_) {
        held_.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }

  const LogId id_;
  uint32_t incarnation_ = 1;
  mutable std::mutex mutex_;  // guards everything below
  bool accepted_ = false;
  std::vector<Decision> unended_;
  std::set<Gid> ended_;
  std::map<std::pair<Gid, std::string>, HeuristicRecord> heuristics_;
  Status health_;
  bool survivor_wanted_ = false;
  bool holding_ = false;
  std::deque<std::function<void()>> held_;
};

}  // namespace indoubt
