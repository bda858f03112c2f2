#include "recovery/file_log.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include <sys/stat.h>

#include "base/failpoint.h"
#include "faults/process.h"
#include "recovery/log_format.h"
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Operation = FakeFileSystem::Operation;

class FileLogTest : public LogFixture {
 protected:
  ~FileLogTest() override { EXPECT_TRUE(ConfigureFailPoints("").ok()); }
};

TEST_F(FileLogTest, KeepsIdentityAndRaisesTheIncarnationAtEveryOpen) {
  Open();
  const LogId id = log_->id();
  EXPECT_EQ(log_->incarnation(), 1u);
  Reopen();
  EXPECT_EQ(log_->incarnation(), 2u);
  EXPECT_EQ(log_->id(), id);
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(log_->incarnation(), 3u);
  EXPECT_EQ(log_->id(), id);
}

TEST_F(FileLogTest, AcknowledgedDecisionSurvivesAPowerCutWithItsBranches) {
  Open();
  const Gid gid = Committed();
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_THAT(log_->Unended(), ElementsAre(Decision{gid, Branches()}));
  EXPECT_EQ(log_->Find(gid), LoggedState::kCommitted);
}

TEST_F(FileLogTest, EndedDecisionIsRememberedAcrossRestartsAndRotations) {
  Open();
  const Gid gid = Committed();
  log_->End(gid);
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
  for (int i = 0; i < 3; ++i) {
    Reopen();
    EXPECT_TRUE(Unended().empty());
    EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
  }
}

TEST_F(FileLogTest, EndedDecisionIsForgottenAfterTheRetention) {
  options_.outcome_retention = Duration(0);
  Open();
  const Gid gid = Committed();
  log_->End(gid);
  EXPECT_EQ(log_->Find(gid), LoggedState::kUnknown);
}

TEST_F(FileLogTest, EndOfWhatWasNeverCommittedSaysNothing) {
  Open();
  const Gid gid = NewGid();
  log_->End(gid);
  EXPECT_EQ(log_->Find(gid), LoggedState::kUnknown);
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

TEST_F(FileLogTest, AbortDoesNotReplaceACommitThatStandsOrMayStand) {
  Open();
  const Gid committed = Committed(), doubtful = NewGid();
  disk_.SetFault(FailOn(Operation::kSync));
  ASSERT_EQ(Decide(doubtful).first, DecisionOutcome::kUnknown);
  std::vector<DecisionOutcome> outcomes;
  for (const Gid& gid : {committed, doubtful, NewGid()}) {
    log_->Decide(gid, DecisionOutcome::kAborted, {},
                 [&](DecisionOutcome stands, const Status&) { outcomes.push_back(stands); });
  }
  EXPECT_THAT(outcomes, ElementsAre(DecisionOutcome::kCommitted, DecisionOutcome::kUnknown,
                                    DecisionOutcome::kAborted));
}

TEST_F(FileLogTest, CommitDecidedAgainAfterItsEndStaysEnded) {
  Open();
  const Gid gid = Committed();
  log_->End(gid);
  EXPECT_EQ(Decide(gid).first, DecisionOutcome::kCommitted);
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
  Reopen();
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
  EXPECT_TRUE(Unended().empty());
}

TEST_F(FileLogTest, HeuristicOutcomeStaysUntilForgotten) {
  Open();
  const Gid gid = Committed();
  ASSERT_TRUE(RecordHeuristic(gid).ok());
  CutPowerAndReopen(Unsynced::kLost);
  ASSERT_EQ(log_->Heuristics().size(), 1u);
  EXPECT_EQ(log_->Heuristics()[0].reason, "rolled back by hand");
  ASSERT_TRUE(Forget(gid).ok());
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_TRUE(log_->Heuristics().empty());
}

TEST_F(FileLogTest, ReasonThatIsNotUtf8IsReadableAgain) {
  Open();
  const Gid gid = Committed();
  ASSERT_TRUE(RecordHeuristic(gid, std::string("bad \xff\0 bytes\n", 13)).ok());
  Reopen();
  EXPECT_EQ(log_->Heuristics().at(0).reason, "bad ?? bytes?");
}

TEST_F(FileLogTest, FailedSyncStopsTheLogForGoodAndRestartDecides) {
  Open();
  const Gid before = Committed();
  disk_.SetFault(FailOn(Operation::kSync));
  const auto [outcome, why] = Decide(NewGid());
  EXPECT_EQ(outcome, DecisionOutcome::kUnknown);
  EXPECT_THAT(why.message(), HasSubstr("injected"));
  disk_.SetFault(nullptr);
  EXPECT_FALSE(log_->health().ok());
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown) << "no retry";
  EXPECT_FALSE(RecordHeuristic(before).ok());
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_TRUE(log_->health().ok());
  EXPECT_THAT(Unended(), ElementsAre(before));
}

TEST_F(FileLogTest, FullDiskStopsTheLogAndItWorksAgainAfterARestart) {
  Open();
  const Gid before = Committed();
  disk_.SetFault(FailOn(Operation::kWrite));
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown);
  EXPECT_FALSE(TryOpen().has_value());
  disk_.SetFault(nullptr);
  KillAndReopen();
  EXPECT_EQ(Unended().at(0), before);
  Committed();
}

TEST_F(FileLogTest, SegmentThatCannotBeMadeIsNotLeftOnAFullDisk) {
  Open();
  const Gid before = Committed();
  log_.reset();
  const auto paths = disk_.Paths();
  for (const Operation operation : {Operation::kWrite, Operation::kSync, Operation::kRename}) {
    disk_.SetFault(FailOn(operation));
    const Status failed = TryOpen().status();
    EXPECT_THAT(failed.message(), HasSubstr("log/segment-0000000002 cannot be made"));
    EXPECT_EQ(disk_.Paths(), paths);
  }
  disk_.SetFault(nullptr);
  Open();
  EXPECT_THAT(Unended(), ElementsAre(before));
}

TEST_F(FileLogTest, RecordWhoseSyncFailedIsMadeDurableByTheNextOpen) {
  Open();
  disk_.SetFault(FailOn(Operation::kSync));
  const Gid gid = NewGid();
  EXPECT_EQ(Decide(gid).first, DecisionOutcome::kUnknown);
  KillAndReopen();  // the record is in the page cache only, and counted as clean
  ASSERT_THAT(Unended(), ElementsAre(gid));
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_THAT(Unended(), ElementsAre(gid));
}

TEST_F(FileLogTest, SecondOpenIsRefusedWhileTheFirstHoldsTheLock) {
  Open();
  EXPECT_EQ(TryOpen().error().code(), StatusCode::kLocked);
  options_.lock_timeout = std::chrono::seconds(30);
  std::thread release([this] { log_.reset(); });
  EXPECT_TRUE(TryOpen().has_value());
  release.join();
}

TEST_F(FileLogTest, RotationDropsOldSegmentsAndCarriesWhatHasNotEnded) {
  Open();
  const Gid stuck = Committed();
  ASSERT_TRUE(RecordHeuristic(stuck).ok());
  Gid last;
  for (int i = 0; i < 2000; ++i) log_->End(last = Committed());
  EXPECT_THAT(disk_.Paths(), ElementsAre(Segment())) << "its predecessors are gone";
  EXPECT_GT(Segment(), "log/segment-0000000002") << "it has rotated";
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Unended().at(0), stuck);
  EXPECT_EQ(log_->Heuristics().size(), 1u);
  EXPECT_NE(log_->Find(last), LoggedState::kUnknown);
}

TEST_F(FileLogTest, StartReadsOneSegmentHoweverLongTheLogHasRun) {
  options_.segment_bytes = log_format::kMinSegmentBytes;
  Open();
  const Gid stuck = Committed();
  for (int i = 0; i < 5000; ++i) log_->End(Committed());
  log_.reset();
  const uint64_t size = disk_.Contents(Segment()).size();
  // The smallest segment, and three times what is carried: 5 blocks of ended gids and a few.
  EXPECT_LT(size, 8u << 10);
  const uint64_t before = disk_.bytes_read();
  Open();
  EXPECT_LT(disk_.bytes_read() - before, 4 * size) << "the end is looked for, too";
  EXPECT_THAT(Unended(), ElementsAre(stuck));
}

TEST_F(FileLogTest, MoreUnendedThanASegmentHoldsAreCarried) {
  Open();
  for (int i = 0; i < 3000; ++i) Committed();
  Reopen();
  EXPECT_EQ(Unended().size(), 3000u);
  for (int i = 0; i < 3000; ++i) Committed();
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Unended().size(), 6000u);
}

TEST_F(FileLogTest, EndsBecomeDurableWithoutAnotherCommit) {
  Open();
  const Gid gid = Committed();
  const int before = disk_.syncs();
  log_->End(gid);
  while (disk_.syncs() == before) std::this_thread::yield();
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_TRUE(Unended().empty());
}

TEST_F(FileLogTest, FlushedEndsAreDurableAndFlushingAgainCostsNothing) {
  Open();
  const Gid gid = Committed();
  log_->End(gid);
  const auto flush = [this] {
    std::promise<Status> flushed;
    log_->FlushEnds([&](Status status) { flushed.set_value(std::move(status)); });
    return flushed.get_future().get();
  };
  EXPECT_TRUE(flush().ok());
  const int before = disk_.syncs();
  EXPECT_TRUE(flush().ok());
  EXPECT_EQ(disk_.syncs(), before);
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_TRUE(Unended().empty());
  log_->End(Committed());
  disk_.SetFault(FailOn(Operation::kSync));
  EXPECT_FALSE(flush().ok());
}

TEST_F(FileLogTest, DecisionFindsEveryEarlierEndDurableHoweverManyThereAre) {
  options_.segment_bytes = 16 << 20;
  Open();
  std::vector<Gid> ended(20000);  // more than one group takes
  for (Gid& gid : ended) gid = Committed();
  // A sync that lasts until everything else has been said.
  std::promise<void> syncing, said;
  std::atomic<bool> first{true};
  disk_.SetFault([&](Operation asked, const std::string&) {
    if (asked == Operation::kSync && first.exchange(false)) {
      syncing.set_value();
      said.get_future().wait();
    }
    return Status::Ok();
  });
  std::thread slow([this] { Committed(); });
  syncing.get_future().wait();
  for (const Gid& gid : ended) log_->End(gid);
  std::promise<DecisionOutcome> decided;
  log_->Decide(Gid{"shop-1", log_->id(), log_->incarnation(), 999'999},
               DecisionOutcome::kCommitted, Branches(),
               [&](DecisionOutcome outcome, const Status&) {
                 disk_.CutPower(Unsynced::kLost);  // before anything else is written
                 decided.set_value(outcome);
               });
  said.set_value();
  EXPECT_EQ(decided.get_future().get(), DecisionOutcome::kCommitted);
  slow.join();
  Reopen();
  EXPECT_EQ(Unended().size(), 2u) << "the two last decisions, and nothing that has ended";
}

TEST_F(FileLogTest, ManyThreadsShareSyncsAndEveryDecisionIsDurable) {
  Open();
  constexpr int kThreads = 8, kEach = 500;
  std::mutex mutex;
  std::condition_variable changed;
  int committed = 0;
  std::atomic<uint64_t> number{0};
  std::vector<std::thread> threads;
  const int before = disk_.syncs();
  threads.reserve(kThreads);
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
  EXPECT_LT(disk_.syncs() - before, kThreads * kEach) << "group commit";
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Unended().size(), static_cast<size_t>(kThreads * kEach));
}

TEST_F(FileLogTest, ErrorAtDecisionWrittenIsAFailedSync) {
  Open();
  ASSERT_TRUE(ConfigureFailPoints("decision_written=error").ok());
  EXPECT_EQ(Decide(NewGid()).first, DecisionOutcome::kUnknown);
  EXPECT_FALSE(log_->health().ok());
}

TEST_F(FileLogTest, ErrorAtAnyPointOfTheOpenIsAnErrorAndLosesNothing) {
  Open();
  const Gid gid = Committed();
  for (const std::string point : {"segment_synced", "checkpoint_written", "segment_opened",
                                  "incarnation_durable", "segment_dropped"}) {
    log_.reset();
    ASSERT_TRUE(ConfigureFailPoints(point + "=error").ok());
    EXPECT_FALSE(TryOpen().has_value()) << point;
    ASSERT_TRUE(ConfigureFailPoints("").ok());
    Open();
    EXPECT_THAT(Unended(), ElementsAre(gid)) << point;
  }
}

TEST_F(FileLogTest, InspectShowsEveryRecordAndChangesNothing) {
  Open();
  const Gid gid = Committed();
  const auto paths = disk_.Paths();
  const auto shown = InspectLog(disk_, kFolder);
  ASSERT_TRUE(shown.has_value()) << shown.error().ToString();
  std::vector<std::string> kinds;
  for (const auto& record : *shown) kinds.push_back(record.kind);
  EXPECT_THAT(kinds, ElementsAre("segment", "opened", "commit"));
  EXPECT_EQ(shown->back().gid, gid.ToString());
  EXPECT_EQ(InspectLog(disk_, Segment())->size(), 3u);
  EXPECT_EQ(disk_.Paths(), paths);
  EXPECT_EQ(InspectLog(disk_, "elsewhere").error().code(), StatusCode::kInvalidArgument);
}

Status Accept(DecisionLog& log) {
  std::promise<Status> answer;
  log.Accept([&](Status status) { answer.set_value(std::move(status)); });
  return answer.get_future().get();
}

TEST_F(FileLogTest, EmptyLogIsNotAcceptedHoweverOftenItIsOpened) {
  Open();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(log_->accepted());
    Reopen();
  }
}

TEST_F(FileLogTest, AcceptanceIsDurableAndComesAlong) {
  Open();
  ASSERT_TRUE(Accept(*log_).ok());
  EXPECT_TRUE(log_->accepted());
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_TRUE(log_->accepted());
  Reopen();
  EXPECT_TRUE(log_->accepted());
}

TEST_F(FileLogTest, FirstDecisionAcceptsTheLogForGood) {
  options_.outcome_retention = Duration::zero();
  Open();
  const Gid gid = Committed();
  EXPECT_TRUE(log_->accepted());
  log_->End(gid);
  for (int i = 0; i < 3; ++i) {
    Reopen();
    EXPECT_TRUE(log_->accepted());
  }
  EXPECT_EQ(log_->Find(gid), LoggedState::kUnknown) << "the decision itself is forgotten";
}

TEST_F(FileLogTest, AcceptanceThatIsNotDurableDoesNotCount) {
  Open();
  disk_.SetFault(FailOn(FakeFileSystem::Operation::kSync));
  EXPECT_FALSE(Accept(*log_).ok());
  EXPECT_FALSE(log_->accepted());
}

TEST_F(FileLogTest, LogThatMustExistIsNotMade) {
  options_.must_exist = true;
  EXPECT_EQ(TryOpen().error().code(), StatusCode::kNotFound);
  EXPECT_TRUE(disk_.Paths().empty());
  options_.must_exist = false;
  Open();
  log_.reset();
  options_.must_exist = true;
  Open();
  EXPECT_EQ(log_->incarnation(), 2u);
}

TEST_F(FileLogTest, SegmentsOfTwoLogsInOneFolderAreRefusedAndKept) {
  Open();
  const Gid gid = Committed();
  log_.reset();
  ASSERT_TRUE(disk_.Rename(Segment(), "aside/segment-0000000001").ok());
  Open();  // a new log, made where the old one was moved away
  Reopen();
  log_.reset();
  ASSERT_TRUE(disk_.Rename("aside/segment-0000000001", "log/segment-0000000001").ok());
  const auto paths = disk_.Paths();
  const auto opened = TryOpen();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), StatusCode::kCorrupt);
  EXPECT_THAT(opened.error().message(), HasSubstr(gid.log.text()));
  EXPECT_EQ(disk_.Paths(), paths);
  ASSERT_TRUE(disk_.Remove("log/segment-0000000002").ok());
  Open();
  EXPECT_THAT(Unended(), ElementsAre(gid));
}

TEST_F(FileLogTest, IsRefusedToANodeOfAnotherNameAndLeftAsItWas) {
  Open();
  const Gid gid = Committed();
  for (int i = 0; i < 2000; ++i) log_->End(Committed());  // rotated by now
  ASSERT_GT(Segment(), "log/segment-0000000001");
  log_.reset();
  const auto paths = disk_.Paths();
  options_.node = "other";
  const auto opened = TryOpen();
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), StatusCode::kInvalidArgument);
  for (const char* named : {"\"shop-1\"", "\"other\"", kFolder}) {
    EXPECT_THAT(opened.error().message(), HasSubstr(named));
  }
  EXPECT_EQ(disk_.Paths(), paths);
  options_.node = "shop-1";
  Open();
  EXPECT_THAT(Unended(), ElementsAre(gid));
}

TEST(PosixFileLog, WorksOnTheRealFileSystemAndIsPrivate) {
  const ScratchFolder folder("indoubt-file-log");
  const std::string path = folder.path() + "/decisions";
  for (uint32_t incarnation = 1; incarnation <= 3; ++incarnation) {
    auto log = OpenFileLog(PosixFileSystem(), path, {.node = "a"});
    ASSERT_TRUE(log.has_value()) << log.error().ToString();
    EXPECT_EQ((*log)->incarnation(), incarnation);
    std::promise<DecisionOutcome> outcome;
    (*log)->Decide(Gid{"a", (*log)->id(), incarnation, 1}, DecisionOutcome::kCommitted, {},
                   [&](DecisionOutcome stands, const Status&) { outcome.set_value(stands); });
    EXPECT_EQ(outcome.get_future().get(), DecisionOutcome::kCommitted);
    EXPECT_EQ((*log)->Unended().size(), incarnation);
  }
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat((path + "/segment-0000000003").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_FALSE(OpenFileLog(PosixFileSystem(), path + "/lock", {.node = "a"}).has_value());
}

}  // namespace
}  // namespace indoubt
