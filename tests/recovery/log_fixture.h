// A file log on the simulated disk, and what its tests do with it.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "recovery/file_log.h"
#include "tests/support/fake_file_system.h"

namespace indoubt {

class LogFixture : public testing::Test {
 protected:
  static constexpr const char* kFolder = "log";
  inline static const OperatorTrace kOperator{"ann (uid 7) on db-1", "disk was swapped",
                                              "2026-11-25T00:00:00.000Z"};
  using Unsynced = FakeFileSystem::Unsynced;

  Result<std::unique_ptr<DecisionLog>> TryOpen() {
    return OpenFileLog(disk_, kFolder, options_);
  }
  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    log_ = std::move(*opened);
  }
  /// The process ends in order, and the next one starts.
  void Reopen() {
    log_.reset();
    Open();
  }
  /// The process is killed, and the next one starts on the same page cache.
  void KillAndReopen() {
    disk_.KillProcess();
    Reopen();
  }
  void CutPowerAndReopen(Unsynced unsynced, uint64_t seed = 1) {
    disk_.CutPower(unsynced, seed);
    Reopen();
  }

  Gid NewGid() { return Gid{"shop-1", log_->id(), log_->incarnation(), ++number_}; }
  static std::vector<BranchRecord> Branches() {
    return {{"accounts", "731"}, {"stock", ""}, {"ledger", std::string("\0\xff\0", 3)}};
  }
  std::pair<DecisionOutcome, Status> Decide(const Gid& gid) {
    std::promise<std::pair<DecisionOutcome, Status>> answer;
    log_->Decide(gid, DecisionOutcome::kCommitted, Branches(),
                 [&](DecisionOutcome outcome, Status why) {
                   answer.set_value({outcome, std::move(why)});
                 });
    return answer.get_future().get();
  }
  Gid Committed() {
    Gid gid = NewGid();
    const auto [outcome, why] = Decide(gid);
    EXPECT_EQ(outcome, DecisionOutcome::kCommitted) << why.ToString();
    return gid;
  }
  Status RecordHeuristic(const Gid& gid, const std::string& reason = "rolled back by hand") {
    std::promise<Status> answer;
    log_->RecordHeuristic(
        {gid, "accounts", DecisionOutcome::kCommitted, reason, "2026-11-25T00:00:00.000Z"},
        [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  Status RecordOperatorDecision(const Gid& gid, DecisionOutcome decided,
                                DecisionOutcome known) {
    std::promise<Status> answer;
    log_->RecordOperatorDecision({gid, decided, known, kOperator, {"accounts", "stock"}},
                                 [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  Status Forget(const Gid& gid) {
    std::promise<Status> answer;
    log_->Forget(gid, kOperator, [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  std::vector<Gid> Unended() const {
    std::vector<Gid> gids;
    for (const Decision& decision : log_->Unended()) gids.push_back(decision.gid);
    return gids;
  }
  /// Path of the segment in use.
  std::string Segment() const {
    std::string newest;
    for (const std::string& path : disk_.Paths()) {
      if (path.find("segment-") != std::string::npos) newest = std::max(newest, path);
    }
    return newest;
  }
  static FakeFileSystem::Fault FailOn(FakeFileSystem::Operation operation) {
    return [operation](FakeFileSystem::Operation asked, const std::string& path) {
      return asked == operation ? Status(StatusCode::kIoError, path + ": injected")
                                : Status::Ok();
    };
  }

  FakeFileSystem disk_;
  FileLogOptions options_{.node = "shop-1", .segment_bytes = 64 << 10};
  std::unique_ptr<DecisionLog> log_;
  uint64_t number_ = 0;
};

}  // namespace indoubt
