// Power cuts: everything is killed under load at a protocol step, and the decision
// log, SQLite's files and Redis' append-only file are set back to what had been
// synced (with and without a torn rest). kill -9 alone proves no durability: the
// page cache survives it. PostgreSQL is killed and recovers from its own WAL. Once with
// PostgreSQL as a participant like the others, once as a logged last resource.
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "coordinator/service.h"
#include "tests/support/eventually.h"
#include "tests/support/stores.h"
#include "tests/support/strace_images.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);
constexpr int kOrdersPerRound = 24;

/// Requests as exec would send them for an order.
TransactionRequest OrderRequest(int64_t order) {
  TransactionRequest request;
  const auto add = [&](const char* participant, std::string text) {
    request.statements.push_back({participant, {std::move(text), {}, {}}});
  };
  add("accounts", "UPDATE account SET balance = balance - 5 WHERE id = 7");
  add("accounts", fmt::format("INSERT INTO orders VALUES ({}, 7)", order));
  add("stock", "INCRBY stock:42 -1");
  add("stock", fmt::format("SET reserved:{} 1", order));
  add("ledger", fmt::format("INSERT INTO entries VALUES ({}, 7, 5)", order));
  request.timeout = std::chrono::seconds(1);
  return request;
}

class PowerCut : public ::testing::TestWithParam<bool> {
 protected:
  PowerCut() { stores_.SetLastResource(GetParam()); }

  static std::vector<const char*> Points(bool last_resource) {
    if (last_resource) {
      return {"after_prepare@stock",
              "after_prepare@ledger",
              "voted",
              "last_resource_before",
              "last_resource_after",
              "decision_durable",
              "before_commit@stock",
              "before_commit@ledger",
              "after_commit@ledger",
              "acknowledged",
              "ended"};
    }
    return {"after_prepare@accounts", "after_prepare@stock",
            "after_prepare@ledger",   "voted",
            "decision_written",       "decision_durable",
            "before_commit@stock",    "before_commit@ledger",
            "after_commit@accounts",  "after_commit@ledger",
            "acknowledged",           "ended"};
  }

  std::string Trace(const char* of) { return stores_.folder() + "/" + of + ".strace"; }

  /// The coordinator's process under strace, with a fail point armed.
  void StartCoordinator(const std::string& failpoint) {
    std::filesystem::remove(Trace("serve"));
    serve_ = stores_.Serve({{"INDOUBT_FAILPOINT", failpoint}}, StraceCommand(Trace("serve")));
    ASSERT_TRUE(serve_->Running()) << "the coordinator did not start";
  }

  void StartRedis() {
    std::filesystem::remove(Trace("redis"));
    const Status status = stores_.redis().Restart(StraceCommand(Trace("redis")));
    ASSERT_TRUE(status.ok()) << status.ToString();
  }

  /// Sends orders until the coordinator is dead; notes what was acknowledged.
  void Load(int64_t first) {
    const auto client = ConnectExecutor(stores_.service_address());
    std::mutex mutex;
    std::condition_variable changed;
    int answered = 0;
    for (int64_t order = first; order < first + kOrdersPerRound; ++order) {
      client->Execute(OrderRequest(order), [&, order](const TransactionOutcome& outcome) {
        const std::lock_guard lock(mutex);
        if (outcome.outcome == Outcome::kCommitted) committed_.push_back(order);
        if (outcome.outcome == Outcome::kRolledBack) rolled_back_.push_back(order);
        ++answered;
        changed.notify_all();
      });
    }
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, kLimit, [&] { return answered == kOrdersPerRound; }));
  }

  void CutPower(DurableFiles& files, DurableFiles::Tail tail, std::mt19937_64& random) {
    serve_->KillAndWait();
    serve_.reset();
    stores_.redis().Kill();
    stores_.postgres().Kill();
    for (const char* of : {"serve", "redis"}) {
      ASSERT_TRUE(Eventually([&] { return TraceHasEnded(Trace(of)); }, kLimit)) << of;
      const Status status = files.Replay(Trace(of));
      ASSERT_TRUE(status.ok()) << status.ToString();
    }
    unsynced_ += files.UnsyncedWrites();
    files.Restore(tail, random);
    // Shared memory of SQLite is no file of the disk: it is made anew.
    std::filesystem::remove(stores_.sqlite_path() + "-shm");
    for (const Status& started : {stores_.redis().Restart(), stores_.postgres().Restart()}) {
      ASSERT_TRUE(started.ok()) << started.ToString();
    }
  }

  void CheckAfterRecovery(int64_t first) {
    const std::vector<std::string> recover{"recover", "-c", stores_.config_path(), "--json"};
    const Ran recovered = stores_.Indoubt(recover);
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
    for (const int64_t order : committed_) {
      EXPECT_TRUE(order < first || stores_.OrderIn(order) == "111") << order;
    }
    for (const int64_t order : rolled_back_) {
      EXPECT_TRUE(order < first || stores_.OrderIn(order) == "000") << order;
    }
    for (int64_t order = first; order < first + kOrdersPerRound; ++order) {
      const std::string held = stores_.OrderIn(order);
      EXPECT_TRUE(held == "000" || held == "111") << order << ": " << held;
    }
    EXPECT_EQ(stores_.Leftovers(), "");
    EXPECT_EQ(stores_.Unwritable(first), "");
    EXPECT_EQ(stores_.Unbalanced(), "");
    const Ran again = stores_.Indoubt(recover);
    EXPECT_NE(again.out.find(R"("committed":0,"rolled_back":0)"), std::string::npos)
        << again.out;
  }

  Stores stores_;
  std::unique_ptr<Process> serve_;
  std::vector<int64_t> committed_, rolled_back_;
  size_t unsynced_ = 0;
};

TEST_P(PowerCut, NothingAcknowledgedIsLostAndNothingIsHalf) {
  const int images = std::getenv("INDOUBT_LONG") != nullptr ? 300 : 8;
  const uint64_t seed = std::random_device()();
  fmt::print("seed {}\n", seed);
  std::mt19937_64 random(seed);
  const std::vector<const char*> points = Points(GetParam());
  for (int image = 0; image < images && !HasFailure(); ++image) {
    const std::string point = fmt::format(
        "{}:{}", points[static_cast<size_t>(image) % points.size()], 1 + random() % 12);
    const auto tail = image % 2 == 0 ? DurableFiles::Tail::kDropped : DurableFiles::Tail::kTorn;
    SCOPED_TRACE(fmt::format("seed {} image {} at {}", seed, image, point));
    stores_.redis().Kill();
    DurableFiles files(stores_.folder(), "pg");
    StartRedis();
    StartCoordinator(point + "=kill");
    const int64_t first = 1000 + image * 100;
    Load(first);
    if (HasFatalFailure()) return;
    CutPower(files, tail, random);
    if (HasFatalFailure()) return;
    CheckAfterRecovery(first);
  }
  // What earlier rounds were told holds over all later cuts, too.
  for (const int64_t order : committed_) EXPECT_EQ(stores_.OrderIn(order), "111") << order;
  for (const int64_t order : rolled_back_) EXPECT_EQ(stores_.OrderIn(order), "000") << order;
  fmt::print("power cut: {} images, {} acknowledged commits, {} unsynced writes cut\n", images,
             committed_.size(), unsynced_);
  EXPECT_FALSE(committed_.empty());
  EXPECT_GT(unsynced_, 0u);
}

INSTANTIATE_TEST_SUITE_P(Accounts, PowerCut, ::testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AsLastResource" : "Prepared";
                         });

}  // namespace
}  // namespace indoubt::testing
