// Three fake stores, a decision log in memory, and coordinators over them.
#pragma once

#include <condition_variable>
#include <future>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_participant.h"
#include "tests/support/memory_log.h"

namespace indoubt {

class CoordinatorFixture : public testing::Test {
 protected:
  CoordinatorFixture() {
    options_.node = "n";
    options_.recovery_interval = {};
    for (const char* name : {"a", "b", "c"}) stores_.try_emplace(name);
  }

  /// The first one, and from then on what the next process finds of it.
  virtual std::unique_ptr<DecisionLog> MakeLog() {
    if (std::exchange(log_opened_, true)) log_ = MemoryLog::Reopen(*log_);
    return log_->Share();
  }
  /// Puts a commit into the log, as an earlier process left it.
  void LogDecided(const Decision& decision) {
    log_->Decide(decision.gid, DecisionOutcome::kCommitted, decision.branches,
                 [](DecisionOutcome, const Status&) {});
  }
  Result<std::unique_ptr<Coordinator>> TryStart() {
    std::vector<std::unique_ptr<Participant>> participants;
    for (auto& [name, store] : stores_) {
      participants.push_back(std::make_unique<FakeParticipant>(name, store));
    }
    return Coordinator::Start(options_, MakeLog(), std::move(participants));
  }
  void Start() {
    auto started = TryStart();
    ASSERT_TRUE(started) << started.error().ToString();
    coordinator_ = std::move(*started);
  }
  /// As after a crash of the coordinator's process: nothing of it is left.
  void Restart() {
    coordinator_.reset();
    Start();
  }

  static TransactionRequest Request(std::initializer_list<const char*> names) {
    TransactionRequest request;
    for (const char* name : names) {
      request.statements.push_back({name, {std::string("work at ") + name, {}, {}}});
    }
    return request;
  }
  std::future<TransactionOutcome> Submit(TransactionRequest request) {
    auto promise = std::make_shared<std::promise<TransactionOutcome>>();
    auto future = promise->get_future();
    coordinator_->Execute(std::move(request), [promise](TransactionOutcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return future;
  }
  TransactionOutcome Execute(std::initializer_list<const char*> names) {
    return Submit(Request(names)).get();
  }
  RecoveryReport Recover(std::optional<LogId> adopt = {}) {
    auto report = coordinator_->Recover(In(std::chrono::seconds(10)), std::move(adopt));
    EXPECT_TRUE(report) << report.status().ToString();
    return report.value_or(RecoveryReport{});
  }
  static TimePoint In(Duration duration) { return SystemClock().Now() + duration; }
  /// Waits until `condition` holds; fails the test when it does not.
  template <typename F>
  static void Await(F condition) {
    ASSERT_TRUE(Eventually(condition, std::chrono::seconds(20))) << "waited in vain";
  }
  inline static const OperatorTrace kAnn{"ann (uid 7) on db-1", "the disk was swapped", {}};

  Gid OwnGid(uint64_t number) const { return {"n", log_->id(), 1, number}; }

  std::map<std::string, FakeStore> stores_;
  std::unique_ptr<MemoryLog> log_ = std::make_unique<MemoryLog>();
  bool log_opened_ = false;
  CoordinatorOptions options_;
  std::unique_ptr<Coordinator> coordinator_;  // last: it uses the stores
};

}  // namespace indoubt
