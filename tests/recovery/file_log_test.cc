#include "recovery/file_log.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "recovery/log_format.h"
#include "recovery/log_opener.h"
#include "tests/support/fake_file_system.h"

namespace indoubt {
namespace {

using testing::FakeFileSystem;
using ::testing::HasSubstr;
using Tail = FakeFileSystem::Tail;

constexpr const char* kFolder = "log";

class FileLogTest : public ::testing::Test {
 protected:
  FileLogTest() : seed_(std::random_device()()), random_(seed_) {
    fmt::print("seed {}\n", seed_);
  }

  void Open() {
    auto opened = TryOpen();
    ASSERT_TRUE(opened) << opened.error().ToString();
    log_ = std::move(*opened);
  }
  Result<std::unique_ptr<DecisionLog>> TryOpen() {
    FileLogOptions options;
    options.node = "shop-1";
    options.segment_bytes = 64u << 10;
    return OpenFileLog(disk_, kFolder, options);
  }
  void Reopen() {
    log_.reset();
    Open();
  }
  void CutPower(Tail tail) {
    log_.reset();
    disk_.PowerCut(tail, random_);
  }

  Gid NewGid() { return Gid{"shop-1", log_->id(), log_->incarnation(), ++number_}; }
  static std::vector<BranchRecord> Branches() {
    return {{"accounts", "731"}, {"stock", ""}, {"ledger", std::string("\0\xff", 2)}};
  }
  std::pair<DecisionOutcome, Status> Decide(const Gid& gid) {
    std::promise<std::pair<DecisionOutcome, Status>> promise;
    log_->Decide(gid, DecisionOutcome::kCommitted, Branches(),
                 [&](DecisionOutcome outcome, const Status& why) {
                   promise.set_value({outcome, why});
                 });
    return promise.get_future().get();
  }
  Gid Committed() {
    const Gid gid = NewGid();
    EXPECT_EQ(Decide(gid).first, DecisionOutcome::kCommitted);
    return gid;
  }
  void RecordHeuristic(const Gid& gid) {
    std::promise<Status> done;
    log_->RecordHeuristic({gid, "accounts", DecisionOutcome::kCommitted, "rolled back by hand",
                           "2026-11-25T00:00:00.000Z"},
                          [&](const Status& status) { done.set_value(status); });
    EXPECT_TRUE(done.get_future().get().ok());
  }
  /// How many decisions a start would find, without writing anything.
  Result<int> ReadOnly() {
    INDOUBT_ASSIGN_OR_RETURN(const OpenedLog opened,
                             ReadLogFolder(disk_, kFolder, std::chrono::hours(1), TimePoint()));
    return static_cast<int>(opened.state.Unended().size());
  }
  std::vector<Gid> Unended() {
    std::vector<Gid> gids;
    for (const Decision& decision : log_->Unended()) gids.push_back(decision.gid);
    return gids;
  }
  std::string NewestSegment() {
    const auto names = disk_.List(kFolder);
    return std::string(kFolder) + "/" + names->back();
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  FakeFileSystem disk_;
  std::unique_ptr<DecisionLog> log_;
  uint64_t number_ = 0;
};

TEST_F(FileLogTest, KeepsIdentityAndRaisesTheIncarnationAtEveryOpen) {
  Open();
  const LogId id = log_->id();
  EXPECT_EQ(log_->incarnation(), 1u);
  Reopen();
  EXPECT_EQ(log_->incarnation(), 2u);
  EXPECT_EQ(log_->id(), id);
  CutPower(Tail::kDropped);
  Open();
  EXPECT_EQ(log_->incarnation(), 3u);
}

TEST_F(FileLogTest, AcknowledgedDecisionSurvivesAPowerCutWithItsBranches) {
  Open();
  const Gid gid = Committed();
  CutPower(Tail::kDropped);
  Open();
  ASSERT_EQ(log_->Unended().size(), 1u);
  EXPECT_EQ(log_->Unended()[0], (Decision{gid, Branches()}));
  EXPECT_EQ(log_->Find(gid), LoggedState::kCommitted);
}

TEST_F(FileLogTest, EndedDecisionIsRememberedAndNoLongerUnended) {
  Open();
  const Gid gid = Committed();
  log_->End(gid);
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
  Reopen();
  EXPECT_TRUE(Unended().empty());
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
}

TEST_F(FileLogTest, AbortCostsNoWrite) {
  Open();
  const int syncs = disk_.syncs();
  DecisionOutcome outcome = DecisionOutcome::kUnknown;
  log_->Decide(NewGid(), DecisionOutcome::kAborted, {},
               [&](DecisionOutcome stands, const Status&) { outcome = stands; });
  EXPECT_EQ(outcome, DecisionOutcome::kAborted);
  EXPECT_EQ(disk_.syncs(), syncs);
}

TEST_F(FileLogTest, HeuristicOutcomeStaysUntilForgotten) {
  Open();
  const Gid gid = Committed();
  RecordHeuristic(gid);
  CutPower(Tail::kDropped);
  Open();
  ASSERT_EQ(log_->Heuristics().size(), 1u);
  EXPECT_EQ(log_->Heuristics()[0].reason, "rolled back by hand");
  std::promise<Status> done;
  log_->ForgetHeuristics(gid, [&](const Status& status) { done.set_value(status); });
  EXPECT_TRUE(done.get_future().get().ok());
  CutPower(Tail::kDropped);
  Open();
  EXPECT_TRUE(log_->Heuristics().empty());
}

TEST_F(FileLogTest, FailedSyncStopsTheLogForGoodAndRestartDecides) {
  Open();
  const Gid before = Committed();
  disk_.FailSync(0);
  const Gid lost = NewGid();
  const auto [outcome, why] = Decide(lost);
  EXPECT_EQ(outcome, DecisionOutcome::kUnknown);
  EXPECT_THAT(why.message(), HasSubstr("input/output error"));
  EXPECT_FALSE(log_->health().ok());
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown) << "no retry";
  CutPower(Tail::kDropped);
  Open();
  EXPECT_TRUE(log_->health().ok());
  EXPECT_EQ(Unended(), std::vector<Gid>{before});
}

TEST_F(FileLogTest, FullDiskStopsTheLogAndItWorksAgainAfterARestart) {
  Open();
  const Gid before = Committed();
  disk_.FailWrite(0);
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown);
  EXPECT_THAT(log_->health().message(), HasSubstr("no space left"));
  CutPower(Tail::kKept);
  Open();
  EXPECT_EQ(Unended()[0], before);
  Committed();
}

TEST_F(FileLogTest, UnsyncedRecordFoundAtOpenIsDurableAfterwards) {
  Open();
  disk_.FailSync(0);
  const Gid gid = NewGid();
  EXPECT_EQ(Decide(gid).first, DecisionOutcome::kUnknown);
  Reopen();  // the process died; the record is in the page cache
  ASSERT_EQ(Unended(), std::vector<Gid>{gid});
  CutPower(Tail::kDropped);
  Open();
  EXPECT_EQ(Unended(), std::vector<Gid>{gid});
}

TEST_F(FileLogTest, TornTailIsCutOffWhereverItTears) {
  for (int round = 0; round < 200; ++round) {
    Open();
    const size_t acknowledged = Unended().size() + 1;
    Committed();
    disk_.FailSync(0);
    EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown);
    CutPower(Tail::kTorn);
    Open();
    const size_t found = Unended().size();
    ASSERT_TRUE(found == acknowledged || found == acknowledged + 1) << round;
    for (const Gid& gid : Unended()) log_->End(gid);
    log_.reset();
  }
}

TEST_F(FileLogTest, DamageBeforeAnAcknowledgedDecisionStopsTheStartWithFileAndOffset) {
  Open();
  Committed();
  const std::string segment = NewestSegment();
  std::string before = disk_.Read(segment);
  Committed();
  log_.reset();
  const uint64_t start = before.find("GRH1", kSegmentHeaderBytes + 1);
  // Any single byte of the first decision's group, but for its head's own
  // redundancy: never silently fewer decisions.
  const uint64_t second = disk_.Read(segment).find("GRH1", start + 1);
  ASSERT_NE(second, std::string::npos);
  for (uint64_t at = start; at < second; ++at) {
    const std::string whole = disk_.Read(segment);
    disk_.Damage(segment, at, std::string(1, static_cast<char>(whole[at] ^ 0x40)));
    const auto opened = ReadOnly();
    if (opened) {
      EXPECT_EQ(*opened, 2) << "offset " << at;
    } else {
      EXPECT_EQ(opened.error().code(), StatusCode::kCorrupt);
      EXPECT_THAT(opened.error().message(), HasSubstr(segment));
    }
    disk_.Damage(segment, at, std::string(1, whole[at]));
  }
}

TEST_F(FileLogTest, SecondOpenIsRefusedWhileTheFirstHoldsTheLock) {
  Open();
  const auto second = TryOpen();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kLocked);
}

TEST_F(FileLogTest, RotationDropsOldSegmentsAndForgetsNoUnendedDecision) {
  Open();
  const Gid old = Committed();
  RecordHeuristic(old);
  for (int i = 0; i < 2000; ++i) log_->End(Committed());
  const auto names = disk_.List(kFolder);
  EXPECT_LE(names->size(), 2u);
  EXPECT_GT(*ParseSegmentName(names->back()), 2u) << "it has rotated";
  CutPower(Tail::kDropped);
  Open();
  EXPECT_EQ(Unended()[0], old);
  EXPECT_EQ(log_->Heuristics().size(), 1u);
}

TEST_F(FileLogTest, ManyThreadsShareSyncsAndEveryDecisionIsDurable) {
  Open();
  constexpr int kThreads = 8, kEach = 200;
  std::mutex mutex;
  std::condition_variable changed;
  int committed = 0;
  std::vector<std::thread> threads;
  std::atomic<uint64_t> number{1000};
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        const Gid gid{"shop-1", log_->id(), log_->incarnation(), ++number};
        log_->Decide(gid, DecisionOutcome::kCommitted, {{"a", ""}},
                     [&](DecisionOutcome outcome, const Status&) {
                       const std::lock_guard lock(mutex);
                       committed += outcome == DecisionOutcome::kCommitted ? 1 : 0;
                       changed.notify_all();
                     });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(60),
                                 [&] { return committed == kThreads * kEach; }));
  }
  EXPECT_LT(disk_.syncs(), kThreads * kEach) << "group commit";
  CutPower(Tail::kDropped);
  Open();
  EXPECT_EQ(Unended().size(), static_cast<size_t>(kThreads * kEach));
}

TEST_F(FileLogTest, InspectShowsEveryRecordAndDamage) {
  Open();
  const Gid gid = Committed();
  const auto shown = InspectLog(disk_, kFolder);
  ASSERT_TRUE(shown) << shown.error().ToString();
  EXPECT_EQ(shown->back().kind, "commit");
  EXPECT_EQ(shown->back().gid, gid.ToString());
  disk_.Damage(NewestSegment(), 0, "garbage");
  const auto damaged = InspectLog(disk_, kFolder);
  ASSERT_TRUE(damaged);
  EXPECT_EQ(damaged->back().kind, "damage");
}

TEST(PosixFileLog, WorksOnTheRealFileSystem) {
  char folder[] = "/var/tmp/indoubt-file-log-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/decisions";
  for (uint32_t incarnation = 1; incarnation <= 3; ++incarnation) {
    auto log = OpenFileLog(PosixFileSystem(), path, {.node = "a"});
    ASSERT_TRUE(log) << log.error().ToString();
    EXPECT_EQ((*log)->incarnation(), incarnation);
    std::promise<DecisionOutcome> outcome;
    (*log)->Decide(Gid{"a", (*log)->id(), incarnation, 1}, DecisionOutcome::kCommitted, {},
                   [&](DecisionOutcome stands, const Status&) { outcome.set_value(stands); });
    EXPECT_EQ(outcome.get_future().get(), DecisionOutcome::kCommitted);
    EXPECT_EQ((*log)->Unended().size(), incarnation);
  }
  const auto names = PosixFileSystem().List(path);
  for (const std::string& name : *names) {
    EXPECT_TRUE(PosixFileSystem().Remove(path + "/" + name).ok());
  }
  rmdir(path.c_str());
  rmdir(folder);
}

}  // namespace
}  // namespace indoubt
