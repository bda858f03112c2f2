// Events that a view cannot take, and views that fail or dawdle: the view goes on without
// the event, the others and the source do not notice, and a retry gives what is missing.
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <stdexcept>

#include <gmock/gmock.h>

#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class CdcPoisonTest : public CdcKillFixture {
 protected:
  static constexpr size_t kCache = 0, kTable = 1, kRowsCache = 2, kRowsTable = 3;

  /// All views refuse rows of item "poison" as long as `poisoned_`; sums say so, rows throw.
  CdcOptions Poisoned() {
    CdcOptions options = AllOptions();
    for (ViewOptions& view : options.views) {
      const bool throws = view.name.starts_with("rows");
      view.derivation.sqlite_mirrors = false;  // every row goes through the guard
      view.derivation.redis = Guard(view.derivation.redis, throws);
      view.derivation.sqlite = Guard(view.derivation.sqlite, throws);
    }
    return options;
  }
  template <typename Call>
  Call Guard(const Call& derivation, bool throws) {
    return [this, derivation, throws](const RowChange& change) -> decltype(derivation(change)) {
      const bool poison = change.relation->name == "moves" && change.after &&
                          change.after->at("item") == "poison";
      if (poison && poisoned_) {
        if (throws) throw std::runtime_error("cannot digest");
        return Status(StatusCode::kInvalidArgument, "cannot digest");
      }
      return derivation(change);
    };
  }
  void Start(const CdcOptions& options) {
    worker_.reset();
    auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    worker_ = std::move(*worker);
  }
  /// Positions move over what is parked.
  void Reach() const {
    const Status reached =
        WaitForViews(AllOptions(), SystemClock().Now() + std::chrono::seconds(30));
    EXPECT_TRUE(reached.ok()) << reached.ToString();
  }
  void RetryAll() const {
    for (const ViewOptions& view : AllOptions().views) {
      ASSERT_TRUE(AskForRetry(view).ok());
      EXPECT_TRUE(Eventually([&] { return !RetryIsPending(view).value_or(true); }))
          << view.name;
    }
  }
  size_t ParkedIn(size_t view) const {
    const auto parked = ReadParkedEvents(AllOptions().views[view]);
    EXPECT_TRUE(parked) << parked.error().ToString();
    return parked ? parked->size() : 0;
  }

  std::atomic<bool> poisoned_{true};
  std::unique_ptr<CdcWorker> worker_;
};

TEST_F(CdcPoisonTest, IsParkedWithPositionAndReasonAndTheViewGoesOn) {
  Start(Poisoned());
  SourceClient client = Client();
  client.Run("INSERT INTO moves(id, item, amount) VALUES (1001, 'a', 1)");
  client.Run("INSERT INTO moves(id, item, amount) VALUES (1002, 'b', 2), (1003, 'poison', 4)");
  client.Run("INSERT INTO moves(id, item, amount) VALUES (1004, 'a', 8)");
  Reach();
  EXPECT_TRUE(worker_->health().ok()) << worker_->health().ToString();
  const Sums without{{"a", 9}};
  EXPECT_EQ(RedisSums(redis_->socket_path()), without);
  EXPECT_EQ(SqliteSums(sqlite_path_), without);
  for (const size_t view : {kCache, kTable, kRowsCache, kRowsTable}) {
    const auto parked = ReadParkedEvents(AllOptions().views[view]);
    ASSERT_TRUE(parked && parked->size() == 1);
    EXPECT_THAT(parked->front().reason, HasSubstr("cannot digest"));
    EXPECT_LT(parked->front().position, worker_->status().views[view].position);
    EXPECT_GT(parked->front().position.lsn, Lsn{});
    EXPECT_EQ(worker_->status().views[view].parked, 1u);
  }
  // The next worker knows of them, too, and so does a retry that does not help.
  Start(Poisoned());
  RetryAll();
  EXPECT_EQ(ParkedIn(kCache), 1u);
  poisoned_ = false;
  RetryAll();
  for (const size_t view : {kCache, kTable, kRowsCache, kRowsTable}) {
    EXPECT_EQ(ParkedIn(view), 0u);
  }
  ExpectEverythingEqualsSource();
  RetryAll();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcPoisonTest, AValueLongerThanRedisTakesIsNamedAndNotRetriedAsALostConnection) {
  poisoned_ = false;
  const auto set_limit = [&](const std::string& bytes) {
    RedisOne(redis_->socket_path(), {"CONFIG", "SET", "proto-max-bulk-len", bytes});
  };
  const std::string insert = "INSERT INTO moves(item, amount) VALUES (repeat('x', 2000000), 1)";
  set_limit("1048576");
  Client().Run(insert);
  Start(AllOptions());
  Reach();  // of the copy of the tables it is one row of a chunk, which is parked
  const auto parked = ReadParkedEvents(AllOptions().views[kRowsCache]);
  ASSERT_TRUE(parked && parked->size() == 1);
  EXPECT_THAT(parked->front().reason,
              HasSubstr("a value of 2000000 bytes, and the server takes 1048576"));
  EXPECT_THAT(parked->front().reason, HasSubstr("moves:1"));
  Client().Run(insert);  // too large to be parked: it comes in parts
  EXPECT_TRUE(Eventually([&] {
    return worker_->status().views[kRowsCache].health.message().find("the server takes") !=
           std::string::npos;
  })) << worker_->status().views[kRowsCache].health.ToString();
  EXPECT_EQ(worker_->status().views[kRowsCache].health.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(worker_->status().views[kRowsTable].parked, 0u);
  set_limit("536870912");
  Reach();
  RetryAll();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcPoisonTest, LaterChangesOfAParkedRowWaitBehindIt) {
  Start(Poisoned());
  SourceClient client = Client();
  client.Run("INSERT INTO moves(id, item, amount) VALUES (2001, 'poison', 1)");
  client.Run("UPDATE moves SET item = 'cured', amount = 2 WHERE id = 2001");
  client.Run("UPDATE moves SET id = 2002 WHERE id = 2001");
  client.Run("UPDATE moves SET amount = 3 WHERE id = 2002");
  client.Run("INSERT INTO moves(id, item, amount) VALUES (2003, 'free', 5)");
  Reach();
  EXPECT_EQ(ParkedIn(kRowsTable), 4u);
  EXPECT_EQ(ParkedIn(kRowsCache), 4u);
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, amount FROM moves"), (Sums{{"2003", 5}}));
  poisoned_ = false;
  RetryAll();
  const Sums all{{"2002", 3}, {"2003", 5}};
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, amount FROM moves"), all);
  EXPECT_EQ(RedisFields(redis_->socket_path(), "moves:", "amount"), all);
}

TEST_F(CdcPoisonTest, WhatASinkRefusesForTheEventIsParkedAndWhatItCannotDoAtPresentIsNot) {
  CdcOptions options = AllOptions();
  options.views[kTable].derivation.sqlite_setup =
      "CREATE TABLE IF NOT EXISTS sums(item TEXT PRIMARY KEY CHECK(item <> 'poison'), amount "
      "INTEGER, changes INTEGER)";
  Start(options);
  SourceClient client = Client();
  client.Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  Reach();
  RedisOne(redis_->socket_path(), {"CONFIG", "SET", "maxmemory", "1"});
  client.Run("INSERT INTO moves(item, amount) VALUES ('poison', 4)");
  client.Run("INSERT INTO moves(item, amount) VALUES ('a', 2)");
  EXPECT_TRUE(Eventually(
      [&] { return worker_->status().views[kCache].health.code() == StatusCode::kRefused; }));
  EXPECT_TRUE(Eventually([&] { return SqliteSums(sqlite_path_) == Sums{{"a", 3}}; }));
  EXPECT_EQ(ParkedIn(kTable), 1u);
  RedisOne(redis_->socket_path(), {"CONFIG", "SET", "maxmemory", "0"});
  EXPECT_TRUE(Eventually([&] { return RedisSums(redis_->socket_path()) == SourceSums(); }));
  EXPECT_EQ(ParkedIn(kCache), 0u);
}

TEST_F(CdcPoisonTest, ASlowViewHoldsUpNeitherTheOthersNorTheSource) {
  std::mutex mutex;
  std::condition_variable changed;
  bool go_on = false;
  CdcOptions options = AllOptions();
  const auto sums = options.views[kCache].derivation.redis;
  options.views[kCache].derivation.redis = [&](const RowChange& change) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return go_on; });
    return sums(change);
  };
  Start(options);
  SourceClient client = Client();
  for (int i = 0; i < 200; ++i) {
    client.Run("INSERT INTO moves(item, amount) VALUES ('a', 1), ('b', 2)");
  }
  const std::string end = client.Run("SELECT pg_current_wal_flush_lsn()");
  EXPECT_TRUE(Eventually([&] {
    return SqliteSums(sqlite_path_) == SourceSums() &&
           client.Run("SELECT confirmed_flush_lsn >= '" + end +
                      "' FROM pg_replication_slots") == "t";
  }));
  EXPECT_TRUE(RedisSums(redis_->socket_path()).empty());
  EXPECT_TRUE(worker_->status().source_health.ok());
  {
    const std::lock_guard lock(mutex);
    go_on = true;
  }
  changed.notify_all();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcPoisonTest, KilledWhenItParksAndWhenItRetriesNothingIsLostOrTwice) {
  const auto die_at = [&](const std::string& point, const std::string& poison) {
    poison_ = poison;
    const auto child = StartChild(point + "=kill");
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(30));
    ASSERT_TRUE(ended && ended->by_signal && ended->code == SIGKILL) << point << ChildOutput();
  };
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  {
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
  }
  for (int i = 0; i < 3; ++i) {
    Client().Run("INSERT INTO moves(item, amount) VALUES ('poison', 1), ('a', 10)");
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 100)");
  }
  for (const char* view : {"cache", "table"}) {
    die_at("cdc_parked@" + std::string(view), "poison");
  }
  poison_ = "poison";
  {
    const auto child = StartChild("");
    Reach();
  }
  EXPECT_EQ(ParkedIn(kCache), 3u);
  EXPECT_EQ(ParkedIn(kTable), 3u);
  // One after the other: the one that does not die may be done before.
  for (const ViewOptions& view : Options().views) {
    ASSERT_TRUE(AskForRetry(view).ok());
    die_at("cdc_retried@" + view.name, "");
  }
  poison_ = "";
  const auto child = StartChild("");
  EXPECT_TRUE(Eventually([&] { return ParkedIn(kCache) == 0 && ParkedIn(kTable) == 0; }));
  ExpectEverythingEqualsSource();
}

}  // namespace
}  // namespace indoubt
