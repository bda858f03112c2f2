// A thousand pairs of transactions that lock Redis and SQLite in opposite order, over
// real stores, a real log and a real coordinator, beside other load on the same stores.
// Every pair does cross: each of the two holds one store's lock before it asks for the
// other's.
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/coordinator.h"
#include "recovery/file_log.h"
#include "tests/participants/redis/redis_ask.h"
#include "tests/participants/sqlite/sqlite_fixture.h"
#include "tests/support/gated_participant.h"

namespace indoubt {
namespace {

constexpr int kPairs = 1000;
constexpr int kPairsAtOnce = 8;
constexpr int kLoaders = 4;
constexpr int kLoadRows = 6;  // few, so that the load waits and dies among itself too
constexpr Duration kDeadline = std::chrono::seconds(10);

/// Where the two of a pair meet: what each wants second stays here until both have what
/// they wanted first. Thread-safe.
class Crossing {
 public:
  void HoldSecond(std::function<void()> prepare) {
    {
      const std::lock_guard lock(mutex_);
      if (first_answers_ < 2) return held_.push_back(std::move(prepare));
    }
    prepare();
  }
  void FirstAnswered() {
    std::vector<std::function<void()>> released;
    {
      const std::lock_guard lock(mutex_);
      if (++first_answers_ == 2) released.swap(held_);
    }
    for (auto& prepare : released) prepare();
  }

 private:
  std::mutex mutex_;  // guards everything below
  int first_answers_ = 0;
  std::vector<std::function<void()>> held_;
};

/// The crossing that a prepare takes part in, found by its statement. Thread-safe.
class Crossings {
 public:
  struct Part {
    std::shared_ptr<Crossing> crossing;  // shared with prepares that are held
    bool first = false;
  };
  void Add(const std::string& statement, Part part) {
    const std::lock_guard lock(mutex_);
    parts_[statement] = std::move(part);
  }
  PrepareGate Gate() {
    return [this](const std::shared_ptr<Branch>& branch, const std::vector<Statement>& last,
                  const PrepareCallback& done) {
      const Part part = Take(last.front().text);
      if (part.crossing == nullptr) return branch->Prepare(last, done);
      if (!part.first) {
        return part.crossing->HoldSecond([branch, last, done] { branch->Prepare(last, done); });
      }
      branch->Prepare(last, [crossing = part.crossing, done](PrepareReply reply) {
        done(std::move(reply));
        crossing->FirstAnswered();
      });
    };
  }

 private:
  Part Take(const std::string& statement) {
    const std::lock_guard lock(mutex_);
    const auto found = parts_.extract(statement);
    return found.empty() ? Part{} : std::move(found.mapped());
  }

  std::mutex mutex_;  // guards parts_
  std::map<std::string, Part> parts_;
};

std::string RowStatement(int pair, const std::string& who) {
  return fmt::format("UPDATE pair SET {0} = {0} + 1 WHERE id = {1}", who, pair);
}
std::string KeyStatement(int pair, const std::string& who) {
  return fmt::format("HINCRBY pair:{} {} 1", pair, who);
}

struct Tally {
  int older_committed = 0, younger_committed = 0, both_committed = 0, none_committed = 0;
  int in_doubt = 0, load_committed = 0, load_rolled_back = 0;
  Duration longest{}, longest_load{};
};

class RedisSqliteOrder : public testing::Test {
 protected:
  void SetUp() override {
    auto redis = RedisServer::Start(folder_.path());
    ASSERT_TRUE(redis) << redis.error().ToString();
    redis_ = *std::move(redis);
    const auto insert = [](const char* into, int rows) {
      return fmt::format(
          "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
          "INSERT INTO {} FROM n;",
          rows - 1, into);
    };
    const std::string tables =
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE pair (id INTEGER PRIMARY KEY, older INTEGER NOT NULL,"
        " younger INTEGER NOT NULL);"
        "CREATE TABLE load (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);";
    ASSERT_EQ(Ask(path_, tables + insert("pair SELECT i, 0, 0", kPairs) +
                             insert("load SELECT i, 0", kLoadRows)),
              "wal");
    StartCoordinator();
  }
  void StartCoordinator() {
    auto stock = MakeRedisParticipant({.name = "stock", .uri = redis_->uri()});
    ASSERT_TRUE(stock) << stock.error().ToString();
    auto ledger = MakeSqliteParticipant({"ledger", path_, {"pair", "load"}});
    ASSERT_TRUE(ledger) << ledger.error().ToString();
    std::vector<std::unique_ptr<Participant>> stores;
    stores.push_back(std::make_unique<GatedParticipant>(*std::move(stock), crossings_.Gate()));
    stores.push_back(std::make_unique<GatedParticipant>(*std::move(ledger), crossings_.Gate()));
    auto log = OpenFileLog(PosixFileSystem(), folder_.path() + "/decisions", {.node = "n"});
    ASSERT_TRUE(log) << log.error().ToString();
    auto coordinator = Coordinator::Start({.node = "n", .default_timeout = kDeadline},
                                          *std::move(log), std::move(stores));
    ASSERT_TRUE(coordinator) << coordinator.error().ToString();
    coordinator_ = *std::move(coordinator);
  }

  std::future<TransactionOutcome> Submit(const std::string& row, const std::string& key) {
    auto promise = std::make_shared<std::promise<TransactionOutcome>>();
    TransactionRequest request;
    request.statements = {{"ledger", {row, {}, {}}}, {"stock", {key, {}, {}}}};
    coordinator_->Execute(std::move(request), [promise](TransactionOutcome outcome) {
      promise->set_value(std::move(outcome));
    });
    return promise->get_future();
  }

  /// The older one holds the row and wants the key, or the other way round.
  void RunPair(int pair, bool older_has_row) {
    const auto crossing = std::make_shared<Crossing>();
    crossings_.Add(RowStatement(pair, "older"), {crossing, older_has_row});
    crossings_.Add(KeyStatement(pair, "older"), {crossing, !older_has_row});
    crossings_.Add(RowStatement(pair, "younger"), {crossing, !older_has_row});
    crossings_.Add(KeyStatement(pair, "younger"), {crossing, older_has_row});
    auto first = Submit(RowStatement(pair, "older"), KeyStatement(pair, "older"));
    auto second = Submit(RowStatement(pair, "younger"), KeyStatement(pair, "younger"));
    const TransactionOutcome older = first.get(), younger = second.get();
    JudgePair(pair, older, younger, older_has_row ? "ledger" : "stock");
  }

  /// `younger_wants`: the store where the younger one meets the older one's lock.
  void JudgePair(int pair, const TransactionOutcome& older, const TransactionOutcome& younger,
                 const std::string& younger_wants) {
    const bool older_in = older.outcome == Outcome::kCommitted;
    const bool younger_in = younger.outcome == Outcome::kCommitted;
    const std::lock_guard lock(mutex_);
    SCOPED_TRACE(fmt::format("pair {}: older {}: {}; younger {}: {}", pair,
                             ToString(older.outcome), older.reason, ToString(younger.outcome),
                             younger.reason));
    EXPECT_TRUE(older_in || younger_in);
    EXPECT_LT(older.elapsed, kDeadline);
    EXPECT_LT(younger.elapsed, kDeadline);
    // The younger one gives way, and says to whom.
    EXPECT_TRUE(older_in);
    EXPECT_EQ(younger.outcome, Outcome::kRolledBack);
    EXPECT_THAT(younger.reason, testing::HasSubstr(younger_wants));
    EXPECT_THAT(younger.reason, testing::HasSubstr(older.gid));
    tally_.both_committed += older_in && younger_in ? 1 : 0;
    tally_.older_committed += older_in && !younger_in ? 1 : 0;
    tally_.younger_committed += younger_in && !older_in ? 1 : 0;
    tally_.none_committed += !older_in && !younger_in ? 1 : 0;
    for (const TransactionOutcome* end : {&older, &younger}) {
      tally_.in_doubt += end->outcome == Outcome::kInDoubt ? 1 : 0;
      tally_.longest = std::max(tally_.longest, end->elapsed);
    }
    const auto stored = fmt::format("{}|{}", older_in ? 1 : 0, younger_in ? 1 : 0);
    stored_in_[pair] = stored;
  }

  /// Transactions over both stores on a few rows of their own, one after the other.
  void RunLoad(uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!load_ends_) {
      const uint64_t row = random() % kLoadRows, key = random() % kLoadRows;
      const TransactionOutcome end =
          Submit(fmt::format("UPDATE load SET n = n + 1 WHERE id = {}", row),
                 fmt::format("INCRBY load:{} 1", key))
              .get();
      const std::lock_guard lock(mutex_);
      EXPECT_TRUE(end.outcome == Outcome::kCommitted || end.outcome == Outcome::kRolledBack)
          << end.reason;
      EXPECT_LT(end.elapsed, kDeadline) << end.reason;
      tally_.load_committed += end.outcome == Outcome::kCommitted ? 1 : 0;
      tally_.load_rolled_back += end.outcome == Outcome::kRolledBack ? 1 : 0;
      tally_.longest_load = std::max(tally_.longest_load, end.elapsed);
    }
  }

  void RunAll(uint64_t seed) {
    std::vector<std::thread> loaders, pairs;
    for (int i = 0; i < kLoaders; ++i) {
      loaders.emplace_back([this, seed, i] { RunLoad(seed + static_cast<uint64_t>(i)); });
    }
    std::atomic<int> next = 0;
    for (int i = 0; i < kPairsAtOnce; ++i) {
      pairs.emplace_back([this, seed, &next] {
        for (int pair = next++; pair < kPairs && !HasFailure(); pair = next++) {
          std::mt19937_64 random(seed ^ static_cast<uint64_t>(pair) << 32);
          RunPair(pair, random() % 2 == 0);
        }
      });
    }
    for (std::thread& thread : pairs) thread.join();
    load_ends_ = true;
    for (std::thread& thread : loaders) thread.join();
  }

  /// Each store holds of each pair what its outcomes said, and no lock is left.
  void CheckStores() {
    for (const auto& [pair, stored] : stored_in_) {
      const std::string key = fmt::format("pair:{}", pair);
      const auto in_redis = [&](const char* who) {
        const std::string count = Ask(*redis_, {"HGET", key, who});
        return count.empty() ? "0" : count;
      };
      EXPECT_EQ(in_redis("older") + "|" + in_redis("younger"), stored) << key;
      EXPECT_EQ(Ask(path_, fmt::format("SELECT older || '|' || younger FROM pair WHERE id = {}",
                                       pair)),
                stored)
          << key;
    }
    int load_in_redis = 0;
    for (int key = 0; key < kLoadRows; ++key) {
      const std::string count = Ask(*redis_, {"GET", fmt::format("load:{}", key)});
      load_in_redis += count.empty() ? 0 : std::stoi(count);
    }
    EXPECT_EQ(load_in_redis, tally_.load_committed);
    EXPECT_EQ(Ask(path_, "SELECT sum(n) FROM load"), std::to_string(tally_.load_committed));
    EXPECT_EQ(Ask(*redis_, {"HLEN", "indoubt:locks"}), "0");
    EXPECT_EQ(Ask(*redis_, {"HLEN", "indoubt:prepared"}), "0");
    EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_lock"), "0");
    EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_branch"), "0");
  }

  ScratchFolder folder_{"indoubt-redis-sqlite-order"};
  const std::string path_ = folder_.path() + "/ledger.db";
  std::unique_ptr<RedisServer> redis_;
  Crossings crossings_;
  std::mutex mutex_;  // guards tally_ and stored_in_
  Tally tally_;
  std::map<int, std::string> stored_in_;
  std::atomic<bool> load_ends_ = false;
  std::unique_ptr<Coordinator> coordinator_;  // goes first
};

TEST_F(RedisSqliteOrder, OneOfEachPairCommitsWithinTheDeadline) {
  const uint64_t seed = std::random_device()();
  fmt::print("seed {}\n", seed);
  RunAll(seed);
  const auto millis = [](Duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  };
  fmt::print(
      "{} pairs: older committed {}, younger committed {}, both {}, none {}; in doubt {}; "
      "longest {:.1f} ms of {:.0f}\n"
      "load: {} committed, {} rolled back, longest {:.1f} ms\n",
      stored_in_.size(), tally_.older_committed, tally_.younger_committed,
      tally_.both_committed, tally_.none_committed, tally_.in_doubt, millis(tally_.longest),
      millis(kDeadline), tally_.load_committed, tally_.load_rolled_back,
      millis(tally_.longest_load));
  EXPECT_EQ(stored_in_.size(), size_t{kPairs});
  EXPECT_GT(tally_.load_committed, 0);
  coordinator_.reset();
  CheckStores();
}

}  // namespace
}  // namespace indoubt
