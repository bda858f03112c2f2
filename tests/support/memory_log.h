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
#include <optional>
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
  MemoryLog() : MemoryLog(LogId::Random()) {}
  explicit MemoryLog(LogId id) : state_(std::make_shared<State>(std::move(id))) {}

  /// The same log once more, so that a test can look at what it has handed over.
  std::unique_ptr<MemoryLog> Share() const { return std::make_unique<MemoryLog>(*this); }

  /// The log as the next process finds it: same identity, incarnation one
  /// higher, everything that was durable in `before`.
  static std::unique_ptr<MemoryLog> Reopen(const MemoryLog& before) {
    const std::lock_guard lock(before.state_->mutex);
    auto log = std::make_unique<MemoryLog>(before.state_->id);
    log->state_->incarnation = before.state_->incarnation + 1;
    log->state_->accepted = before.state_->accepted;
    log->state_->unended = before.state_->unended;
    log->state_->ended = before.state_->ended;
    log->state_->heuristics = before.state_->heuristics;
    log->state_->operator_decisions = before.state_->operator_decisions;
    log->state_->requests = before.state_->requests;
    log->state_->forgotten = before.state_->forgotten;
    return log;
  }

  /// From now on every write fails and the log is stopped for good. With
  /// `record_survives` the record of the next Decide is there after Reopen all
  /// the same, as after a failed sync whose bytes reached the disk.
  void FailWrites(Status why, bool record_survives = false) {
    const std::lock_guard lock(state_->mutex);
    state_->health = std::move(why);
    state_->survivor_wanted = record_survives;
  }
  /// The sync of the next commit decision fails; its record survives.
  void FailNextDecision(Status why) {
    const std::lock_guard lock(state_->mutex);
    state_->decision_failure = std::move(why);
  }
  /// How many commit decisions were asked for.
  int decisions() const {
    const std::lock_guard lock(state_->mutex);
    return state_->decisions;
  }
  /// As when outcome_retention is over for all that has ended.
  void ForgetEnded() {
    const std::lock_guard lock(state_->mutex);
    state_->ended.clear();
  }
  /// Keeps callbacks (as a slow disk would) until Release().
  void HoldCallbacks() {
    const std::lock_guard lock(state_->mutex);
    state_->holding = true;
  }
  /// Runs what was kept, in order, and keeps nothing from now on.
  void Release() {
    std::deque<std::function<void()>> held;
    {
      const std::lock_guard lock(state_->mutex);
      state_->holding = false;
      held.swap(state_->held);
    }
    for (auto& callback : held) callback();
  }

  const LogId& id() const override { return state_->id; }
  uint32_t incarnation() const override { return state_->incarnation; }
  bool accepted() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->accepted || !state_->unended.empty() || !state_->ended.empty();
  }
  void Accept(LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(state_->mutex);
      status = state_->health;
      state_->accepted = state_->accepted || status.ok();
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  void Decide(const Gid& gid, DecisionOutcome outcome, std::vector<BranchRecord> branches,
              DecideCallback done, RequestName request = {}) override {
    DecisionOutcome stands = outcome;
    Status why;
    {
      const std::lock_guard lock(state_->mutex);
      if (outcome != DecisionOutcome::kCommitted && IsCommitted(gid)) {
        stands = DecisionOutcome::kCommitted;
      } else if (outcome == DecisionOutcome::kCommitted) {
        ++state_->decisions;
        if (!state_->decision_failure.ok()) {
          state_->health = std::exchange(state_->decision_failure, Status::Ok());
          state_->survivor_wanted = true;
        }
        if (state_->health.ok() || std::exchange(state_->survivor_wanted, false)) {
          if (!request.empty()) state_->requests[request.id] = {gid, request};
          state_->unended.push_back(Decision{gid, std::move(branches), std::move(request)});
        }
        if (!state_->health.ok()) stands = DecisionOutcome::kUnknown;
        why = state_->health;
      }
    }
    Answer([done = std::move(done), stands, why = std::move(why)] { done(stands, why); });
  }

  void End(const Gid& gid) override {
    const std::lock_guard lock(state_->mutex);
    if (!state_->health.ok()) return;
    if (std::erase_if(state_->unended, [&](const Decision& d) { return d.gid == gid; }) > 0) {
      state_->ended.insert(gid);
    }
    if (!gid.home.empty()) state_->ended.insert(gid);
  }

  void FlushEnds(LogCallback done) override {
    Answer([done = std::move(done), status = health()] { done(status); });
  }

  void RecordHeuristic(HeuristicRecord record, LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(state_->mutex);
      status = state_->health;
      if (status.ok()) {
        const auto key = std::pair(record.gid, record.participant);
        state_->heuristics.insert_or_assign(key, std::move(record));
      }
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  void RecordOperatorDecision(OperatorDecision decision, LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(state_->mutex);
      status = state_->health;
      if (status.ok()) {
        if (decision.decided == DecisionOutcome::kAborted) {
          std::erase_if(state_->unended,
                        [&](const Decision& d) { return d.gid == decision.gid; });
        }
        state_->operator_decisions.insert_or_assign(decision.gid, std::move(decision));
      }
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  void Forget(const Gid& gid, OperatorTrace, LogCallback done) override {
    Status status;
    {
      const std::lock_guard lock(state_->mutex);
      status = state_->health;
      if (status.ok()) {
        std::erase_if(state_->heuristics,
                      [&](const auto& entry) { return entry.first.first == gid; });
        const auto decided = state_->operator_decisions.find(gid);
        if (decided != state_->operator_decisions.end()) {
          if (decided->second.decided == DecisionOutcome::kAborted) {
            std::erase_if(state_->requests,
                          [&](const auto& entry) { return entry.second.gid == gid; });
          }
          state_->operator_decisions.erase(decided);
        }
      }
    }
    Answer([done = std::move(done), status = std::move(status)] { done(status); });
  }

  std::vector<Decision> Unended() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->unended;
  }
  std::vector<HeuristicRecord> Heuristics() const override {
    const std::lock_guard lock(state_->mutex);
    std::vector<HeuristicRecord> records;
    for (const auto& [key, record] : state_->heuristics) records.push_back(record);
    return records;
  }
  std::vector<OperatorDecision> OperatorDecisions() const override {
    const std::lock_guard lock(state_->mutex);
    std::vector<OperatorDecision> decisions;
    for (const auto& [gid, decision] : state_->operator_decisions) {
      decisions.push_back(decision);
    }
    return decisions;
  }
  LoggedState Find(const Gid& gid) const override {
    const std::lock_guard lock(state_->mutex);
    for (const Decision& decision : state_->unended) {
      if (decision.gid == gid) return LoggedState::kCommitted;
    }
    if (const auto it = state_->operator_decisions.find(gid);
        it != state_->operator_decisions.end()) {
      return it->second.decided == DecisionOutcome::kCommitted ? LoggedState::kEnded
                                                               : LoggedState::kUnknown;
    }
    return state_->ended.count(gid) > 0 ? LoggedState::kEnded : LoggedState::kUnknown;
  }
  bool IsForgotten(const Gid& gid) const override {
    const std::lock_guard lock(state_->mutex);
    return state_->forgotten && gid <= *state_->forgotten;
  }
  std::optional<NamedCommit> FindRequest(const std::string& id) const override {
    if (state_->before_find_request) state_->before_find_request();
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->requests.find(id);
    return found == state_->requests.end() ? std::nullopt : std::optional(found->second);
  }
  bool HasRoomForRequest() override {
    const std::lock_guard lock(state_->mutex);
    return state_->room_for_requests;
  }
  /// As after outcome_retention: everything up to `gid` is forgotten.
  void ForgetUpTo(const Gid& gid) {
    const std::lock_guard lock(state_->mutex);
    std::erase_if(state_->ended, [&](const Gid& ended) { return ended <= gid; });
    std::erase_if(state_->requests, [&](const auto& entry) { return entry.second.gid <= gid; });
    state_->forgotten = gid;
  }
  /// Called with every FindRequest, on its caller's thread. Not thread-safe itself.
  void BeforeFindRequest(std::function<void()> hook) {
    state_->before_find_request = std::move(hook);
  }
  void RefuseRequestIds() {
    const std::lock_guard lock(state_->mutex);
    state_->room_for_requests = false;
  }
  Status health() const override {
    const std::lock_guard lock(state_->mutex);
    return state_->health;
  }

 private:
  struct State {
    explicit State(LogId its_id) : id(std::move(its_id)) {}

    const LogId id;
    uint32_t incarnation = 1;
    mutable std::mutex mutex;  // guards everything below
    bool accepted = false;
    std::vector<Decision> unended;
    std::set<Gid> ended;
    std::map<std::pair<Gid, std::string>, HeuristicRecord> heuristics;
    std::map<Gid, OperatorDecision> operator_decisions;
    std::map<std::string, NamedCommit> requests;
    std::optional<Gid> forgotten;
    bool room_for_requests = true;
    Status health, decision_failure;
    int decisions = 0;
    bool survivor_wanted = false;
    bool holding = false;
    std::deque<std::function<void()>> held;
    std::function<void()> before_find_request;  // not guarded
  };

  bool IsCommitted(const Gid& gid) const {  // needs the mutex
    if (const auto it = state_->operator_decisions.find(gid);
        it != state_->operator_decisions.end()) {
      return it->second.decided == DecisionOutcome::kCommitted;
    }
    return state_->ended.count(gid) > 0 ||
           std::any_of(state_->unended.begin(), state_->unended.end(),
                       [&](const Decision& decision) { return decision.gid == gid; });
  }
  void Answer(std::function<void()> callback) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->holding) {
        state_->held.push_back(std::move(callback));
        return;
      }
    }
    callback();
  }

  const std::shared_ptr<State> state_;
};

}  // namespace indoubt
