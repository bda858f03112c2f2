// The copy of the tables is killed in the middle while they are written, and goes on where
// it was: the views equal the source afterwards, and no row is counted twice.
#include <csignal>
#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include "cdc/log/sqlite_event_log.h"
#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using Progress = events::SnapshotProgress;

/// Writes all over both tables until it goes: moves gets rows between those that are there;
/// rows of account change, go, come back, and change their key from one end to the other.
class Scatter {
 public:
  Scatter(std::string dsn, int64_t moves, int64_t accounts, uint64_t seed)
      : thread_([this, dsn, moves, accounts, seed] {
          SourceClient client(dsn);
          std::mt19937_64 random(seed);
          while (!stop_) {
            const auto place = static_cast<int64_t>(random() % static_cast<uint64_t>(moves));
            const auto account =
                static_cast<int64_t>(random() % static_cast<uint64_t>(accounts));
            const bool two_phase = random() % 8 == 0 && SlotIsThere(client);
            client.Run("BEGIN");
            client.Run(
                fmt::format("INSERT INTO moves(id, item, amount) VALUES ({}, 'a{}', {}) "
                            "ON CONFLICT DO NOTHING",
                            2 * place + 1, place % 8, place));
            client.Run(Change(account, accounts, random()));
            if (two_phase) {
              client.Run("PREPARE TRANSACTION 'scatter'");
              client.Run(random() % 4 ? "COMMIT PREPARED 'scatter'"
                                      : "ROLLBACK PREPARED 'scatter'");
            } else {
              client.Run("COMMIT");
            }
            ++written_;
          }
        }) {}
  ~Scatter() {
    stop_ = true;
    thread_.join();
  }
  int64_t written() const { return written_.load(); }

 private:
  static bool SlotIsThere(SourceClient& client) {
    return client.Run(
               "SELECT count(*) FROM pg_replication_slots WHERE confirmed_flush_lsn "
               "IS NOT NULL") == "1";
  }
  static std::string Change(int64_t account, int64_t accounts, uint64_t how) {
    switch (how % 4) {
      case 0:
        return fmt::format("DELETE FROM account WHERE id = {}", account);
      case 1:
        return fmt::format("INSERT INTO account VALUES ({}, {}) ON CONFLICT DO NOTHING",
                           account, how % 1000);
      case 2:  // into the range of an earlier attempt, or of a later one
        return fmt::format(
            "UPDATE account SET id = {1} - id, balance = balance + 1 WHERE id = {0} AND NOT "
            "EXISTS (SELECT 1 FROM account WHERE id = {1} - {0})",
            account, accounts - 1);
      default:
        return fmt::format("UPDATE account SET balance = balance + 1 WHERE id = {}", account);
    }
  }
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> written_{0};
  std::thread thread_;
};

class CdcSnapshotResumeTest : public CdcKillFixture {
 protected:
  void Fill(int64_t moves, int64_t accounts) {
    moves_ = moves;
    accounts_ = accounts;
    Client().Run(
        fmt::format("INSERT INTO moves(id, item, amount) SELECT 2 * n, 'a' || n % 8, n FROM "
                    "generate_series(1, {}) n;"
                    "INSERT INTO account SELECT n, n FROM generate_series(8, {}) n; ANALYZE",
                    moves, accounts - 1));
  }
  void DieAtChunk(int64_t chunk) {
    const auto child = StartChild(fmt::format("cdc_snapshot_chunk:{}=kill", chunk));
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::minutes(5));
    ASSERT_TRUE(ended && ended->by_signal && ended->code == SIGKILL) << ChildOutput();
  }
  Progress ReadProgress() const {
    const auto log = OpenSqliteEventLog(event_log_path_);
    EXPECT_TRUE(log) << log.error().ToString();
    const auto progress = (*log)->ReadSnapshotProgress();
    EXPECT_TRUE(progress && *progress);
    return **progress;
  }
  void FinishAndCompare() {
    auto child = StartChild("");
    EXPECT_TRUE(
        Eventually([&] { return SqliteOne(event_log_path_, "SELECT state FROM log") == "2"; },
                   std::chrono::minutes(5)))
        << ChildOutput();
    scatter_.reset();
    ExpectEverythingEqualsSource();
  }
  void Scatter() {
    scatter_ = std::make_unique<class Scatter>(postgres_->dsn(), moves_, accounts_, seed_);
  }

  const uint64_t seed_ = SeedOfThisRun();
  int64_t moves_ = 0, accounts_ = 0;
  std::unique_ptr<class Scatter> scatter_;
};

TEST_F(CdcSnapshotResumeTest, KilledTwiceInTheMiddleItGoesOnAndEqualsTheSource) {
  const bool whole = std::getenv("INDOUBT_LONG") != nullptr;
  fmt::print("seed {}\n", seed_);
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  Fill(whole ? 1'000'000 : 20'000, whole ? 50'000 : 5'000);
  const int64_t chunks = moves_ / 1000;
  Scatter();
  DieAtChunk(chunks / 2);  // among moves
  const Progress first = ReadProgress();
  EXPECT_EQ(first.attempts_size(), 0);
  EXPECT_EQ(first.tables(0).state(), Progress::PARTLY);
  const int64_t before_second = scatter_->written();
  EXPECT_TRUE(Eventually([&] { return scatter_->written() > before_second + 100; }));
  DieAtChunk(chunks / 2 + accounts_ / 2000 + 1);  // the rest of moves, and into account
  const Progress second = ReadProgress();
  EXPECT_EQ(second.lsn(), first.lsn());
  EXPECT_GT(second.next_ordinal(), first.next_ordinal());
  EXPECT_EQ(second.attempts_size(), 1);
  const int64_t before_third = scatter_->written();
  EXPECT_TRUE(Eventually([&] { return scatter_->written() > before_third + 100; }));
  FinishAndCompare();
  const Progress all = ReadProgress();
  EXPECT_EQ(all.attempts_size(), 2);
  EXPECT_GT(all.copied_until(), all.lsn());
  fmt::print("cdc snapshot: {} rows and more in {} chunks, killed after {} and {}\n",
             moves_ + accounts_, all.next_ordinal(), first.next_ordinal(),
             second.next_ordinal());
}

TEST_F(CdcSnapshotResumeTest, KilledAgainAndAgainInTheTableWhoseKeysMove) {
  fmt::print("seed {}\n", seed_);
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  Fill(1'000, 12'000);
  Scatter();
  DieAtChunk(3);
  for (int round = 0; round < 3; ++round) {
    const int64_t before = scatter_->written();
    EXPECT_TRUE(Eventually([&] { return scatter_->written() > before + 300; }));
    DieAtChunk(2);
  }
  FinishAndCompare();
  EXPECT_EQ(ReadProgress().attempts_size(), 4);
}

TEST_F(CdcSnapshotResumeTest, KeysOfTextAreComparedAsTheSourceOrdersThem) {
  Client().Run(
      "ALTER TABLE account DROP CONSTRAINT account_pkey, ADD name varchar(40), ADD part bigint;"
      "UPDATE account SET name = 'n' || id, part = id % 3;"
      "INSERT INTO account SELECT n, n, CASE n % 3 WHEN 0 THEN 'b' WHEN 1 THEN 'B' ELSE '''Ä' "
      "END || n, n % 3 FROM generate_series(8, 5000) n;"
      "ALTER TABLE account ADD PRIMARY KEY (name, part);"
      "INSERT INTO moves(item, amount) VALUES ('a', 1)");
  DieAtChunk(3);
  Client().Run(
      "INSERT INTO account SELECT n, n, CASE n % 3 WHEN 0 THEN 'b' WHEN 1 THEN 'B' ELSE '''Ä' "
      "END || n, n % 3 FROM generate_series(6000, 6500) n;"
      "UPDATE account SET name = 'z' || name WHERE id % 7 = 0;"
      "DELETE FROM account WHERE id % 5 = 0");
  DieAtChunk(1);
  Client().Run("UPDATE account SET name = 'a' || name WHERE id % 11 = 0");
  const auto child = StartChild("");
  const Status reached =
      WaitForViews(AllOptions(), SystemClock().Now() + std::chrono::seconds(60));
  ASSERT_TRUE(reached.ok()) << reached.ToString();
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT name || '/' || part, balance FROM account"),
            Client().Query("SELECT name || '/' || part, balance FROM account"));
}

TEST_F(CdcSnapshotResumeTest, ALargeTransactionInBetweenCountsOnceOnBothSidesOfTheBoundary) {
  Fill(4'000, 3'000);
  DieAtChunk(2);  // moves is copied up to id 4,000 of 8,000
  Client().Run(
      "INSERT INTO moves(id, item, amount) SELECT 2 * n + 1, 'large', n FROM "
      "generate_series(-20000, 20000) n");
  Client().Run("UPDATE account SET balance = balance + 1");
  DieAtChunk(2);
  Client().Run("INSERT INTO moves(id, item, amount) VALUES (-100000, 'small', 1)");
  FinishAndCompare();
  EXPECT_EQ(ReadProgress().attempts_size(), 2);
  EXPECT_NE(
      SqliteOne(event_log_path_, "SELECT count(*) FROM events WHERE ordinal > 4294967296"),
      "0");  // it came in parts
}

TEST_F(CdcSnapshotResumeTest, AfterATruncateItBeginsAnew) {
  Fill(5'000, 3'000);
  DieAtChunk(4);
  Client().Run(
      "TRUNCATE moves; INSERT INTO moves(id, item, amount) SELECT n, 'a', n FROM "
      "generate_series(1, 3000) n");
  DieAtChunk(3);
  EXPECT_EQ(ReadProgress().attempts_size(), 0);
  Client().Run("INSERT INTO moves(id, item, amount) VALUES (-7, 'b', 1)");
  FinishAndCompare();
  EXPECT_EQ(ReadProgress().attempts_size(), 1);
}

TEST_F(CdcSnapshotResumeTest, ATableWithoutAKeyIsCopiedAnewAndTheOthersGoOn) {
  Fill(2'000, 5'000);
  Client().Run(
      "ALTER TABLE account DROP CONSTRAINT account_pkey; ALTER TABLE account REPLICA IDENTITY "
      "FULL");
  DieAtChunk(4);  // two of moves, two of account
  Client().Run(
      "DELETE FROM account WHERE id % 2 = 0; UPDATE account SET balance = balance + 1");
  DieAtChunk(1);
  const Progress progress = ReadProgress();
  EXPECT_EQ(progress.attempts_size(), 1);
  EXPECT_EQ(progress.next_ordinal(), 3u);
  EXPECT_EQ(progress.tables(0).state(), Progress::WHOLE);
  Client().Run("UPDATE account SET balance = balance + 1 WHERE id % 3 = 0");
  const auto child = StartChild("");
  const Status reached =
      WaitForViews(AllOptions(), SystemClock().Now() + std::chrono::seconds(60));
  ASSERT_TRUE(reached.ok()) << reached.ToString();
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, balance FROM account"),
            Client().Query("SELECT id, balance FROM account"));
  ExpectSumsEqualSource();
}

}  // namespace
}  // namespace indoubt
