// Two transactions that lock PostgreSQL and Redis in opposite order, over a real
// coordinator: resolved by age, far before the deadline.
#include <condition_variable>
#include <future>
#include <mutex>
#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "tests/participants/postgres/postgres_store.h"
#include "tests/participants/redis/redis_ask.h"
#include "tests/support/gated_participant.h"
#include "tests/support/memory_log.h"

namespace indoubt {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(60);
constexpr Duration kFarBefore = std::chrono::seconds(15);

/// Holds prepares back on their way to a store. Thread-safe.
class Gate {
 public:
  /// The next one stays here until Release().
  void HoldNext() {
    const std::lock_guard lock(mutex_);
    holds_next_ = true;
  }
  void Pass(std::function<void()> prepare) {
    {
      const std::lock_guard lock(mutex_);
      if (holds_next_) {
        holds_next_ = false;
        held_ = std::move(prepare);
        arrived_.notify_all();
        return;
      }
    }
    prepare();
  }
  void AwaitHeld() {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return held_ != nullptr; });
  }
  void Release() {
    std::function<void()> prepare;
    {
      const std::lock_guard lock(mutex_);
      prepare = std::exchange(held_, nullptr);
    }
    prepare();
  }

 private:
  std::mutex mutex_;  // guards everything below
  std::condition_variable arrived_;
  bool holds_next_ = false;
  std::function<void()> held_;
};

PrepareGate Through(Gate& gate) {
  return [&gate](const std::shared_ptr<Branch>& branch, const std::vector<Statement>& last,
                 const PrepareCallback& done) {
    gate.Pass([branch, last, done] { branch->Prepare(last, done); });
  };
}

class OppositeOrder : public testing::Test {
 protected:
  void SetUp() override {
    auto started = PostgresStore::Start();
    postgres_.reset(static_cast<PostgresStore*>(started.release()));
    ASSERT_NE(postgres_, nullptr);
    ASSERT_TRUE(postgres_->Reset().ok());
    auto redis = RedisServer::Start(folder_.path());
    ASSERT_TRUE(redis) << redis.error().ToString();
    redis_ = *std::move(redis);
    auto stock = MakeRedisParticipant({.name = "stock", .uri = redis_->uri()});
    ASSERT_TRUE(stock) << stock.error().ToString();
    std::vector<std::unique_ptr<Participant>> stores;
    stores.push_back(std::make_unique<GatedParticipant>(postgres_->MakeParticipant(),
                                                        Through(postgres_gate_)));
    stores.push_back(
        std::make_unique<GatedParticipant>(*std::move(stock), Through(redis_gate_)));
    auto coordinator = Coordinator::Start({.node = "n", .default_timeout = kTimeout},
                                          std::make_unique<MemoryLog>(), std::move(stores));
    ASSERT_TRUE(coordinator) << coordinator.error().ToString();
    coordinator_ = *std::move(coordinator);
  }

  /// One transaction on the row "a" and the key "k".
  std::future<TransactionOutcome> Submit() {
    auto promise = std::make_shared<std::promise<TransactionOutcome>>();
    TransactionRequest request;
    request.statements = {{"store", postgres_->Add("a", 1)}, {"stock", {"INCRBY k 1", {}, {}}}};
    coordinator_->Execute(std::move(request), [promise](TransactionOutcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return promise->get_future();
  }
  void AwaitSql(const std::string& sql, const std::string& answer) {
    while (postgres_->Psql(sql) != answer) {
    }
  }
  /// Until the key is locked, or the transaction that is to lock it has ended.
  void AwaitTheLockOf(const std::future<TransactionOutcome>& transaction) {
    while (Ask(*redis_, {"HLEN", "indoubt:locks"}) != "1" &&
           transaction.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    }
  }

  /// The older one has the row and is about to want the key; the younger one has the
  /// key and waits for the row.
  void OlderHoldsTheRow() {
    redis_gate_.HoldNext();
    auto older = Submit();
    redis_gate_.AwaitHeld();
    AwaitSql("SELECT count(*) FROM pg_prepared_xacts", "1");
    auto younger = Submit();
    AwaitTheLockOf(younger);
    redis_gate_.Release();
    Judge(older.get(), younger.get(), /*younger_gives_way_in=*/"store");
  }
  /// The older one has the key and is about to want the row; the younger one wants both.
  void OlderHoldsTheKey() {
    postgres_gate_.HoldNext();
    auto older = Submit();
    postgres_gate_.AwaitHeld();
    AwaitTheLockOf(older);
    auto younger = Submit();
    postgres_gate_.Release();
    Judge(older.get(), younger.get(), /*younger_gives_way_in=*/"stock");
  }

  void Judge(const TransactionOutcome& older, const TransactionOutcome& younger,
             const std::string& younger_gives_way_in) {
    EXPECT_EQ(older.outcome, Outcome::kCommitted) << older.reason;
    EXPECT_LT(older.elapsed, kFarBefore);
    EXPECT_LT(younger.elapsed, kFarBefore);
    // It may also have come just after the older one's commit.
    const bool both = younger.outcome == Outcome::kCommitted;
    if (!both) {
      EXPECT_EQ(younger.outcome, Outcome::kRolledBack) << younger.reason;
      EXPECT_THAT(younger.reason, testing::HasSubstr(younger_gives_way_in));
      EXPECT_THAT(younger.reason, testing::HasSubstr(older.gid));
    }
    committed_ += both ? 2 : 1;
    EXPECT_EQ(postgres_->Look("a"), 100 + committed_);
    EXPECT_EQ(Ask(*redis_, {"GET", "k"}), std::to_string(committed_));
  }

  ScratchFolder folder_{"indoubt-opposite-order"};
  std::unique_ptr<PostgresStore> postgres_;
  std::unique_ptr<RedisServer> redis_;
  Gate postgres_gate_, redis_gate_;
  std::unique_ptr<Coordinator> coordinator_;  // goes first
  int committed_ = 0;
};

TEST_F(OppositeOrder, IsResolvedByAgeFarBeforeTheDeadline) {
  const uint64_t seed = std::random_device()();
  fmt::print("seed {}\n", seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    if (random() % 2 == 0) {
      OlderHoldsTheRow();
    } else {
      OlderHoldsTheKey();
    }
    if (HasFailure()) return;
  }
  EXPECT_EQ(postgres_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  EXPECT_EQ(Ask(*redis_, {"HLEN", "indoubt:locks"}), "0");
}

/// Nothing is arranged: many at once on the same row and key, in whatever order.
TEST_F(OppositeOrder, ManyAtOnceAllEndFarBeforeTheDeadline) {
  std::vector<std::future<TransactionOutcome>> outcomes;
  for (int i = 0; i < 200; ++i) {
    for (int j = 0; j < 8; ++j) outcomes.push_back(Submit());
    for (auto& outcome : outcomes) {
      const TransactionOutcome end = outcome.get();
      EXPECT_TRUE(end.outcome == Outcome::kCommitted || end.outcome == Outcome::kRolledBack)
          << end.reason;
      EXPECT_LT(end.elapsed, kFarBefore) << end.reason;
      committed_ += end.outcome == Outcome::kCommitted ? 1 : 0;
    }
    outcomes.clear();
  }
  EXPECT_GE(committed_, 200);  // the oldest of each eight
  EXPECT_EQ(postgres_->Look("a"), 100 + committed_);
  EXPECT_EQ(Ask(*redis_, {"GET", "k"}), std::to_string(committed_));
}

}  // namespace
}  // namespace indoubt
