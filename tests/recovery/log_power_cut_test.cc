// Power cuts and failures at each operation on the disk, and at random places over and
// over on one log: every acknowledged decision stays, nothing appears that was never
// proposed. Segments are small, so that the log rotates all the time.
#include <random>
#include <set>

#include <fmt/core.h>

#include "recovery/log_format.h"
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using Operation = FakeFileSystem::Operation;

class LogPowerCutTest : public LogFixture {
 protected:
  LogPowerCutTest() {
    fmt::print("seed {}\n", seed_);
    options_.segment_bytes = log_format::kMinSegmentBytes;
  }

  /// Fails everything from the n-th operation on, as a dying disk does.
  static FakeFileSystem::Fault DieAfter(uint64_t operations) {
    return [left = operations](Operation, const std::string& path) mutable {
      if (left > 0) return --left, Status::Ok();
      return Status(StatusCode::kIoError, path + ": the disk died");
    };
  }
  /// Fails only that operation; the disk works again after it.
  static FakeFileSystem::Fault FailOnce(uint64_t operation) {
    return [operation, now = uint64_t{0}](Operation, const std::string& path) mutable {
      if (now++ != operation) return Status::Ok();
      return Status(StatusCode::kIoError, path + ": this once");
    };
  }
  void SomeWork() {
    for (uint64_t i = random_() % 120; i > 0 && log_->health().ok(); --i) {
      const Gid gid = NewGid();
      proposed_.insert(gid);
      if (Decide(gid).first != DecisionOutcome::kCommitted) return;
      acknowledged_.insert(gid);
      if (random_() % 4 != 0) {
        log_->End(gid);
        ended_.insert(gid);
      }
    }
  }
  void CheckWhatIsThere() {
    for (const Gid& gid : acknowledged_) {
      const LoggedState found = log_->Find(gid);
      if (ended_.count(gid) == 0) {
        ASSERT_EQ(found, LoggedState::kCommitted) << gid.ToString();
      }
      ASSERT_NE(found, LoggedState::kUnknown) << gid.ToString();
    }
    for (const Gid& gid : Unended()) ASSERT_EQ(proposed_.count(gid), 1u) << gid.ToString();
  }

  const uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  std::set<Gid> proposed_, acknowledged_, ended_;
};

TEST_F(LogPowerCutTest, NothingAcknowledgedIsLostWhereverThePowerIsCut) {
  for (int round = 0; round < 80; ++round) {
    SCOPED_TRACE(fmt::format("seed {} round {}", seed_, round));
    disk_.SetFault(DieAfter(random_() % 800));
    auto opened = TryOpen();
    if (opened.has_value()) {
      log_ = std::move(*opened);
      SomeWork();
    }
    const auto kind = static_cast<Unsynced>(random_() % 3);
    if (random_() % 4 == 0) {
      disk_.KillProcess();
    } else {
      disk_.CutPower(kind, random_());
    }
    log_.reset();
    Open();
    CheckWhatIsThere();
    if (HasFatalFailure()) return;
    log_.reset();
  }
}

/// What one run of the log was told, on a disk of its own.
struct Told {
  std::set<Gid> proposed, acknowledged, ended;
};

/// Opens a log on `disk`, commits, and ends every third commit; stops at the first error.
Told RunOnce(FakeFileSystem& disk, const FileLogOptions& options) {
  Told told;
  const auto opened = OpenFileLog(disk, "log", options);
  if (!opened) return told;
  DecisionLog& log = **opened;
  for (uint64_t i = 1; i <= 40; ++i) {
    const Gid gid{"shop-1", log.id(), log.incarnation(), i};
    told.proposed.insert(gid);
    std::promise<DecisionOutcome> decided;
    log.Decide(gid, DecisionOutcome::kCommitted, {{"accounts", "731"}},
               [&](DecisionOutcome outcome, const Status&) { decided.set_value(outcome); });
    if (decided.get_future().get() != DecisionOutcome::kCommitted) break;
    told.acknowledged.insert(gid);
    if (i % 3 != 0) continue;
    log.End(gid);
    told.ended.insert(gid);
    std::promise<Status> flushed;
    log.FlushEnds([&](Status status) { flushed.set_value(std::move(status)); });
    if (!flushed.get_future().get().ok()) break;
  }
  return told;
}

/// Looks at the log on a disk that works again, twice: the second time nothing has changed.
void ExpectNothingLost(FakeFileSystem& disk, const FileLogOptions& options, const Told& told) {
  std::vector<Decision> first;
  for (int round = 0; round < 2; ++round) {
    const auto opened = OpenFileLog(disk, "log", options);
    ASSERT_TRUE(opened.has_value()) << opened.error().ToString();
    for (const Gid& gid : told.acknowledged) {
      const LoggedState found = (*opened)->Find(gid);
      ASSERT_TRUE(found == LoggedState::kCommitted ||
                  (found == LoggedState::kEnded && told.ended.contains(gid)))
          << gid.ToString();
    }
    const auto unended = (*opened)->Unended();
    for (const Decision& decision : unended) ASSERT_TRUE(told.proposed.contains(decision.gid));
    ASSERT_TRUE(round == 0 || unended == first);
    first = unended;
  }
}

TEST_F(LogPowerCutTest, AnyOperationOnTheDiskMayBeTheLast) {
  enum class End { kKilled, kLost, kKept, kTorn };
  uint64_t last = 0;
  for (bool reached = true; reached; ++last) {
    for (const End end : {End::kKilled, End::kLost, End::kKept, End::kTorn, End::kTorn}) {
      SCOPED_TRACE(fmt::format("operation {}, end {}", last, static_cast<int>(end)));
      FakeFileSystem disk;
      disk.SetFault(DieAfter(last));
      const Told told = RunOnce(disk, options_);
      reached = told.acknowledged.size() < 40;
      if (end == End::kKilled) disk.KillProcess();
      if (end == End::kLost) disk.CutPower(Unsynced::kLost);
      if (end == End::kKept) disk.CutPower(Unsynced::kKept);
      if (end == End::kTorn) disk.CutPower(Unsynced::kRandom, random_());
      ExpectNothingLost(disk, options_, told);
      if (HasFatalFailure()) return;
    }
  }
  fmt::print("power cut: {} operations, each the last one in 5 ways\n", last);
  EXPECT_GT(last, 150u) << "commits, ends and several rotations";
}

TEST_F(LogPowerCutTest, AnyOperationOnTheDiskMayFailOnce) {
  uint64_t failed = 0;
  for (bool reached = true; reached; ++failed) {
    for (const Unsynced kind : {Unsynced::kLost, Unsynced::kKept, Unsynced::kRandom}) {
      SCOPED_TRACE(fmt::format("operation {}, unsynced {}", failed, static_cast<int>(kind)));
      FakeFileSystem disk;
      disk.SetFault(FailOnce(failed));
      const Told told = RunOnce(disk, options_);
      reached = told.acknowledged.size() < 40;
      disk.CutPower(kind, random_());
      ExpectNothingLost(disk, options_, told);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(failed, 150u) << "commits, ends and several rotations";
}

TEST_F(LogPowerCutTest, UnsyncedFolderEntriesAreNeverReliedOn) {
  Open();
  const Gid gid = Committed();
  disk_.SetFault(FailOn(Operation::kSyncDirectory));
  log_.reset();
  EXPECT_FALSE(TryOpen().has_value());
  for (const Unsynced kind : {Unsynced::kLost, Unsynced::kKept, Unsynced::kRandom}) {
    CutPowerAndReopen(kind);
    ASSERT_EQ(log_->Find(gid), LoggedState::kCommitted);
    log_.reset();
  }
}

}  // namespace
}  // namespace indoubt
