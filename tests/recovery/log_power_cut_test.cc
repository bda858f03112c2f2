// Power cuts and failures at random places, over and over on one log: every
// acknowledged decision stays, nothing appears that was never proposed.
#include <random>
#include <set>

#include <fmt/core.h>

#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using Operation = FakeFileSystem::Operation;

class LogPowerCutTest : public LogFixture {
 protected:
  LogPowerCutTest() { fmt::print("seed {}\n", seed_); }

  /// Fails everything from the n-th operation on, as a dying disk does.
  static FakeFileSystem::Fault DieAfter(uint64_t operations) {
    return [left = operations](Operation, const std::string& path) mutable {
      if (left > 0) return --left, Status::Ok();
      return Status(StatusCode::kIoError, path + ": the disk died");
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
