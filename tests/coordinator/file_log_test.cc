// The coordinator over the decision log in files, from one process' life to the next.
#include "recovery/file_log.h"

#include <filesystem>

#include <stdlib.h>

#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

class FileLogCoordinatorTest : public CoordinatorFixture {
 protected:
  FileLogCoordinatorTest() {
    std::string pattern = testing::TempDir() + "indoubt-XXXXXX";
    INDOUBT_CHECK(mkdtemp(pattern.data()) != nullptr, "a folder for the test");
    folder_ = pattern;
  }
  ~FileLogCoordinatorTest() override {
    coordinator_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::unique_ptr<DecisionLog> MakeLog() override {
    auto log = OpenFileLog(PosixFileSystem(), folder_ + "/decisions", {.node = "n"});
    INDOUBT_CHECK(log.has_value(), log.status().ToString());
    return std::move(*log);
  }

  std::string folder_;
};

TEST_F(FileLogCoordinatorTest, DecidedAndUnappliedIsCommittedByTheNextProcess) {
  options_.apply_timeout = std::chrono::milliseconds(20);
  Start();
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted);
  // Prepared, decided, and then away before it could be told.
  stores_["b"].commit_acks.assign(1000, AckKind::kRetry);
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kInDoubt);
  const Gid gid = *Gid::Parse(outcome.gid);
  coordinator_.reset();
  stores_["b"].commit_acks.clear();
  stores_["b"].committed.erase(gid);
  stores_["b"].prepared.insert(gid);
  const Gid orphan{"n", gid.log, gid.incarnation, gid.number + 1};
  stores_["a"].prepared.insert(orphan);

  Start();
  EXPECT_EQ(coordinator_->Find(gid), LoggedState::kCommitted);
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.committed, 1);
  EXPECT_EQ(report.rolled_back, 1);
  EXPECT_TRUE(stores_["b"].committed.contains(gid));
  EXPECT_TRUE(stores_["a"].rolled_back.contains(orphan));
  Restart();
  EXPECT_EQ(coordinator_->Find(gid), LoggedState::kEnded);
  EXPECT_TRUE(Recover().transactions.empty());
}

TEST_F(FileLogCoordinatorTest, ManyCommitsShareTheLog) {
  Start();
  std::atomic<int> committed{0};
  constexpr int kMany = 200;
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kMany; ++i) {
        coordinator_->Execute(Request({"a", "b", "c"}), [&](TransactionOutcome outcome) {
          if (outcome.outcome == Outcome::kCommitted) ++committed;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Await([&] { return committed == 2 * kMany; });
  Restart();
  EXPECT_TRUE(Recover().transactions.empty());
}

}  // namespace
}  // namespace indoubt
