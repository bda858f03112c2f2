#include "cdc/worker.h"

#include <atomic>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cdc/log/sqlite_event_log.h"
#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CdcWorkerTest : public CdcFixture {
 protected:
  /// Views that hold the source's rows as they are.
  CdcOptions OptionsForRows() const {
    CdcOptions options = Options();
    const auto rows = FindDerivation("rows");
    EXPECT_TRUE(rows);
    for (ViewOptions& view : options.views) view.derivation = rows.value_or(Derivation{});
    return options;
  }
};

TEST_F(CdcWorkerTest, SnapshotAndStreamJoinWithoutGapOrOverlapUnderConcurrentWriters) {
  Client().Run(
      "INSERT INTO moves(item, amount) SELECT 'i' || n % 7, n FROM generate_series(1, 5000) n");
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      SourceClient client(postgres_->dsn());
      for (int i = 0; !stop; ++i) {
        client.Run("INSERT INTO moves(item, amount) VALUES ('i" + std::to_string(i % 7) +
                   "', " + std::to_string(writer + 1) + "), ('i0', 1)");
      }
    });
  }
  auto worker = CdcWorker::Start(Options());
  const std::string rows_at_start = Client().Run("SELECT count(*) FROM moves");
  EXPECT_TRUE(Eventually([&] {
    return std::stoll(Client().Run("SELECT count(*) FROM moves")) >
           std::stoll(rows_at_start) + 200;
  }));
  stop = true;
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectViewsEqualSource();
  EXPECT_TRUE((*worker)->health().ok()) << (*worker)->health().ToString();
  EXPECT_TRUE(Eventually([&] {
    const CdcStatus status = (*worker)->status();
    return status.confirmed_flush == status.logged && status.views[0].backlog == 0 &&
           status.views[1].backlog == 0;
  }));
}

TEST_F(CdcWorkerTest, RolledBackIsNeverSeenAndPreparedComesWithItsCommit) {
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  SourceClient client = Client();
  client.Run("BEGIN");
  client.Run("INSERT INTO moves(item, amount) VALUES ('never', 1)");
  client.Run("ROLLBACK");
  client.Run("BEGIN");
  client.Run("INSERT INTO moves(item, amount) VALUES ('prepared', 5)");
  client.Run("PREPARE TRANSACTION 'p'");
  client.Run("INSERT INTO moves(item, amount) VALUES ('after', 2)");
  ExpectViewsEqualSource();
  EXPECT_FALSE(RedisSums(redis_->socket_path()).contains("prepared"));
  client.Run("COMMIT PREPARED 'p'");
  ExpectViewsEqualSource();
  EXPECT_TRUE(RedisSums(redis_->socket_path()).contains("prepared"));
}

TEST_F(CdcWorkerTest, APreparedTransactionIsStagedAcrossARestartAndEndsAsTheSourceSays) {
  const CdcOptions options = Options();
  SourceClient client = Client();
  const auto prepare = [&](const std::string& gid, const std::string& sql) {
    client.Run("BEGIN");
    client.Run(sql);
    client.Run("PREPARE TRANSACTION '" + gid + "'");
  };
  {
    auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    prepare("kept", "INSERT INTO moves(item, amount) VALUES ('kept', 5)");
    prepare("dropped", "INSERT INTO moves(item, amount) VALUES ('dropped', 7)");
    prepare("elsewhere", "INSERT INTO elsewhere(note) VALUES ('x')");
    client.Run("INSERT INTO moves(item, amount) VALUES ('after', 2)");
    ExpectViewsEqualSource();
    EXPECT_EQ((*worker)->status().staged, 3u);
    // Confirmed: the source will not send their changes again.
    EXPECT_TRUE(Eventually([&] {
      const CdcStatus status = (*worker)->status();
      return status.confirmed_flush == status.logged;
    }));
  }
  for (const char* end : {"COMMIT PREPARED 'kept'", "ROLLBACK PREPARED 'dropped'",
                          "COMMIT PREPARED 'elsewhere'"}) {
    client.Run(end);
  }
  prepare("kept", "INSERT INTO moves(item, amount) VALUES ('kept', 1)");  // the gid again
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectViewsEqualSource();
  EXPECT_EQ(RedisSums(redis_->socket_path()).at("kept"), 5);
  EXPECT_FALSE(RedisSums(redis_->socket_path()).contains("dropped"));
  EXPECT_EQ((*worker)->status().staged, 1u);
  const auto record = ReadStreamRecord(options.event_log_path);
  ASSERT_TRUE(record) << record.error().ToString();
  std::vector<std::pair<std::string, StreamOutcome::Kind>> told;
  for (const StreamOutcome& outcome : record->outcomes) {
    told.emplace_back(outcome.gid, outcome.kind);
  }
  using Kind = StreamOutcome::Kind;
  EXPECT_THAT(told, testing::ElementsAre(std::pair("kept", Kind::kCommitted),
                                         std::pair("dropped", Kind::kRolledBack),
                                         std::pair("elsewhere", Kind::kCommitted),
                                         std::pair("kept", Kind::kPrepared)));
  client.Run("ROLLBACK PREPARED 'kept'");
  ExpectViewsEqualSource();
  EXPECT_EQ((*worker)->status().staged, 0u);
}

TEST_F(CdcWorkerTest, APreparedTransactionInTheWayOfTheSlotIsNamed) {
  SourceClient client = Client();
  client.Run("BEGIN");
  client.Run("INSERT INTO moves(item, amount) VALUES ('a', 5)");
  client.Run("PREPARE TRANSACTION 'in-the-way'");
  CdcOptions options = Options();
  options.slot_lock_timeout = std::chrono::milliseconds(200);
  const auto worker = CdcWorker::Start(options);
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kLocked) << worker.error().ToString();
  EXPECT_THAT(worker.error().message(), HasSubstr("\"in-the-way\""));
  EXPECT_EQ(client.Run("SELECT count(*) FROM pg_replication_slots"), "0");
  client.Run("COMMIT PREPARED 'in-the-way'");
  const auto next = CdcWorker::Start(options);
  ASSERT_TRUE(next) << next.error().ToString();
  ExpectViewsEqualSource();
}

TEST_F(CdcWorkerTest, TheTextOfAValueDoesNotDependOnTheSessionsDefaults) {
  SourceClient client = Client();
  client.Run(
      "ALTER ROLE postgres SET datestyle = 'German, DMY'; ALTER ROLE postgres SET timezone = "
      "'Asia/Tokyo'; ALTER ROLE postgres SET intervalstyle = 'iso_8601'; ALTER ROLE postgres "
      "SET "
      "extra_float_digits = -15; ALTER ROLE postgres SET bytea_output = 'escape'");
  client.Run(
      "CREATE TABLE formats(at timestamptz PRIMARY KEY, took interval, part float8, raw "
      "bytea)");
  const char* insert =
      "INSERT INTO formats SELECT timestamptz '2026-01-02 03:04:05+00' + i * interval '1 day', "
      "interval '1 day 2 hours', 1.0 / 3, '\\x00ff' FROM generate_series({0}, {0}) i";
  client.Run(fmt::format(fmt::runtime(insert), 0));
  CdcOptions options = OptionsForRows();
  options.tables = {"formats"};
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  client.Run(fmt::format(fmt::runtime(insert), 1));
  const auto caught_up = [&options] {
    return WaitForViews(options, SystemClock().Now() + std::chrono::seconds(30)).ok();
  };
  ASSERT_TRUE(caught_up()) << (*worker)->health().ToString();
  const std::string rest = " 1 day 02:00:00 1 \\x00ff";
  EXPECT_EQ(
      SqliteOne(sqlite_path_,
                "SELECT group_concat(at || ' ' || took || ' ' || (part = 1.0 / 3) || ' ' || "
                "raw, '; ') FROM (SELECT * FROM formats ORDER BY at)"),
      "2026-01-02 03:04:05+00" + rest + "; 2026-01-03 03:04:05+00" + rest);
  client.Run("DELETE FROM formats");
  ASSERT_TRUE(caught_up());
  EXPECT_EQ(SqliteOne(sqlite_path_, "SELECT count(*) FROM formats"), "0");
}

TEST_F(CdcWorkerTest, PositionsMoveWhileOnlyOtherTablesAreWritten) {
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectViewsEqualSource();
  for (int i = 0; i < 3; ++i) {
    Client().Run("INSERT INTO elsewhere(note) VALUES ('x')");
    ExpectViewsEqualSource();
  }
}

TEST_F(CdcWorkerTest, ADeadSinkStopsOnlyItsOwnViewAndCatchesUp) {
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  EXPECT_TRUE(Eventually([&] { return (*worker)->health().ok(); }));
  redis_->Kill();
  Client().Run("INSERT INTO moves(item, amount) SELECT 'a', n FROM generate_series(1, 100) n");
  EXPECT_TRUE(Eventually([&] { return SqliteSums(sqlite_path_) == SourceSums(); }));
  EXPECT_TRUE(Eventually([&] { return !(*worker)->health().ok(); }));
  EXPECT_THAT((*worker)->health().message(), HasSubstr("cache"));
  ASSERT_TRUE(redis_->Restart().ok());
  ExpectViewsEqualSource();
  EXPECT_TRUE(Eventually([&] { return (*worker)->health().ok(); }));
}

TEST_F(CdcWorkerTest, GoesOnAfterTheSourceWasKilledAndRestarted) {
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  postgres_->Kill();
  EXPECT_TRUE(Eventually([&] { return !(*worker)->health().ok(); }));
  ASSERT_TRUE(postgres_->Restart().ok());
  Client().Run("INSERT INTO moves(item, amount) VALUES ('b', 2)");
  ExpectViewsEqualSource();
}

TEST_F(CdcWorkerTest, ADroppedSlotIsAnErrorWhileRunningAndAtTheNextStart) {
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  EXPECT_TRUE(Eventually([&] { return (*worker)->health().ok(); }));
  DropSlot();
  EXPECT_TRUE(Eventually([&] { return (*worker)->source_lost(); }));
  EXPECT_EQ((*worker)->health().code(), StatusCode::kNotFound);
  EXPECT_THAT((*worker)->health().message(),
              HasSubstr("slot \"indoubt\" is gone: the changes from "));
  worker.value().reset();
  const auto again = CdcWorker::Start(Options());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), StatusCode::kNotFound);
}

TEST_F(CdcWorkerTest, WhatIsNoOrdinaryTableIsRefusedWithWhatToNameInstead) {
  Client().Run("CREATE TABLE parted(id int PRIMARY KEY) PARTITION BY RANGE(id)");
  Client().Run("CREATE VIEW shown AS SELECT * FROM moves");
  CdcOptions options = Options();
  options.tables = {"parted"};
  const auto parted = CdcWorker::Start(options);
  ASSERT_FALSE(parted);
  EXPECT_THAT(parted.error().message(),
              AllOf(HasSubstr("\"parted\""), HasSubstr("name its partitions")));
  options.tables = {"shown"};
  const auto shown = CdcWorker::Start(options);
  ASSERT_FALSE(shown);
  EXPECT_THAT(shown.error().message(),
              AllOf(HasSubstr("\"shown\""), HasSubstr("name the tables whose rows it shows")));
}

TEST_F(CdcWorkerTest, ALogThatWasLostIsRefusedBecauseTheSlotIsOfAnother) {
  { ASSERT_TRUE(CdcWorker::Start(Options())); }
  CdcOptions other = Options();
  other.event_log_path += ".new";
  const auto worker = CdcWorker::Start(other);
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kRefused);
}

TEST_F(CdcWorkerTest, ASecondWorkerOnTheSameLogIsRefused) {
  auto worker = CdcWorker::Start(Options());
  ASSERT_TRUE(worker) << worker.error().ToString();
  const auto second = CdcWorker::Start(Options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kLocked);
}

TEST_F(CdcWorkerTest, ACommandThatFailsInsideOfExecBreaksTheViewForGood) {
  RedisOne(redis_->socket_path(), {"SET", "sums", "not a hash"});
  CdcOptions options = Options();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  {
    auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    EXPECT_TRUE(Eventually(
        [&] { return (*worker)->status().views[0].health.code() == StatusCode::kCorrupt; }));
    EXPECT_TRUE(Eventually([&] { return (*worker)->status().views[1].health.ok(); }));
    EXPECT_TRUE(Eventually([&] { return SqliteSums(sqlite_path_) == SourceSums(); }));
  }
  auto again = CdcWorker::Start(options);
  ASSERT_TRUE(again) << again.error().ToString();
  EXPECT_TRUE(Eventually(
      [&] { return (*again)->status().views[0].health.code() == StatusCode::kCorrupt; }));
}

TEST_F(CdcWorkerTest, RowsOfEveryShapeAreMirrored) {
  const CdcOptions options = OptionsForRows();
  SourceClient client = Client();
  client.Run("INSERT INTO moves(id, item, amount) VALUES (1001, 'kept', 1), (1002, 'gone', 2)");
  client.Run("ALTER TABLE moves ADD big text, ADD note text");
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  client.Run(
      "UPDATE moves SET big = (SELECT string_agg(md5(n::text), '') FROM "
      "generate_series(1, 500) n), note = 'x' WHERE id = 1001");
  client.Run("UPDATE moves SET id = 1003, note = NULL WHERE id = 1001");
  client.Run("DELETE FROM moves WHERE id = 1002");
  const Status reached = WaitForViews(options, SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(reached.ok()) << reached.ToString() << (*worker)->health().ToString();
  const std::string big = client.Run("SELECT big FROM moves WHERE id = 1003");
  ASSERT_EQ(big.size(), 16000u);
  EXPECT_EQ(SqliteOne(sqlite_path_, "SELECT big FROM moves WHERE id = 1003 AND note IS NULL"),
            big);
  EXPECT_EQ(SqliteOne(sqlite_path_, "SELECT count(*) FROM moves"), "1");
  const std::string socket = redis_->socket_path();
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1003", "big"}), big);
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1003", "note"}), "");
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1001", "item"}), "");
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1002", "item"}), "");
}

TEST_F(CdcWorkerTest, ALargeValueThatAnUpdateLeavesAloneIsKept) {
  SourceClient client = Client();
  client.Run("ALTER TABLE moves ADD big text, ALTER big SET STORAGE EXTERNAL");
  client.Run("CREATE TABLE whole(big text, note text)");
  client.Run("ALTER TABLE whole ALTER big SET STORAGE EXTERNAL, REPLICA IDENTITY FULL");
  client.Run("CREATE TABLE long_key(big text PRIMARY KEY, note text)");
  client.Run("ALTER TABLE long_key ALTER big SET STORAGE EXTERNAL");
  CdcOptions options = OptionsForRows();
  options.tables = {"moves", "whole", "long_key"};
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  const std::string big(2100, 'x');
  client.Run("INSERT INTO moves(id, item, amount, big) VALUES (1, 'a', 1, '" + big + "')");
  client.Run("UPDATE moves SET item = 'b' WHERE id = 1");
  for (const char* table : {"whole", "long_key"}) {
    client.Run(fmt::format("INSERT INTO {} VALUES ('{}', 'first')", table, big));
    client.Run(fmt::format("UPDATE {} SET note = 'second'", table));
  }
  const Status reached = WaitForViews(options, SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(reached.ok()) << reached.ToString() << (*worker)->health().ToString();
  const std::string socket = redis_->socket_path();
  EXPECT_EQ(SqliteOne(sqlite_path_, "SELECT big FROM moves WHERE item = 'b'"), big);
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1", "big"}), big);
  EXPECT_EQ(RedisOne(socket, {"HGET", "moves:1", "item"}), "b");
  // Here the large value is in the name of the row, and comes with the old row only.
  for (const auto& [table, key] : {std::pair("whole", "whole:" + big + ":second"),
                                   std::pair("long_key", "long_key:" + big)}) {
    EXPECT_EQ(SqliteOne(sqlite_path_, fmt::format("SELECT big || note FROM {}", table)),
              big + "second");
    EXPECT_EQ(RedisOne(socket, {"HGET", key, "big"}), big) << table;
    EXPECT_EQ(RedisOne(socket, {"HGET", key, "note"}), "second") << table;
  }
}

TEST_F(CdcWorkerTest, AColumnAddedAtTheSourceComesToTheViewsOfRows) {
  const CdcOptions options = OptionsForRows();
  SourceClient client = Client();
  client.Run("INSERT INTO moves(id, item, amount) VALUES (1, 'old', 1), (2, 'old', 2)");
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  const auto reach = [&] {
    const Status reached =
        WaitForViews(options, SystemClock().Now() + std::chrono::seconds(30));
    EXPECT_TRUE(reached.ok()) << reached.ToString() << (*worker)->health().ToString();
  };
  reach();
  client.Run("ALTER TABLE moves ADD note text");
  client.Run("INSERT INTO moves(id, item, amount, note) VALUES (3, 'new', 3, 'first')");
  client.Run("UPDATE moves SET note = 'second' WHERE id = 1");
  client.Run("ALTER TABLE moves ADD \"odd \"\"name\" bigint");
  client.Run("UPDATE moves SET \"odd \"\"name\" = 7 WHERE id = 3");
  reach();
  EXPECT_TRUE((*worker)->health().ok()) << (*worker)->health().ToString();
  EXPECT_EQ(SqliteOne(sqlite_path_,
                      "SELECT group_concat(id || ':' || coalesce(note, '-'), ' ') "
                      "FROM (SELECT * FROM moves ORDER BY id)"),
            "1:second 2:- 3:first");
  EXPECT_EQ(SqliteOne(sqlite_path_, "SELECT id FROM moves WHERE \"odd \"\"name\" = 7"), "3");
  EXPECT_EQ(RedisOne(redis_->socket_path(), {"HGET", "moves:1", "note"}), "second");
}

}  // namespace
}  // namespace indoubt
