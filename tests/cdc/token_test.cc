// Tokens and consistent cuts, with readers beside a writer that never stops.
#include <atomic>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sqlite3.h>

#include "cdc/consistent_cut.h"
#include "cdc/view_waiter.h"
#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

using std::chrono::seconds;

int Reads() { return std::getenv("INDOUBT_LONG") != nullptr ? 100'000 : 1'000; }

TimePoint In(Duration patience) { return SystemClock().Now() + patience; }

class CdcTokenTest : public CdcFixture {
 protected:
  static constexpr int kRows = 8;

  void SetUp() override {
    CdcFixture::SetUp();
    if (HasFatalFailure()) return;  // no server
    Client().Run(fmt::format(
        "INSERT INTO moves(id, item, amount) SELECT n, 'i', 0 FROM generate_series(1, {}) n",
        kRows));
    options_ = Options();
    const auto rows = FindDerivation("rows");
    ASSERT_TRUE(rows);
    for (ViewOptions& view : options_.views) view.derivation = *rows;
    auto worker = CdcWorker::Start(options_);
    ASSERT_TRUE(worker) << worker.error().ToString();
    worker_ = std::move(*worker);
    ASSERT_TRUE(WaitForViews(options_, In(seconds(30))).ok());
  }

  const ViewOptions& redis_view() const { return options_.views[0]; }
  const ViewOptions& sqlite_view() const { return options_.views[1]; }

  /// The row's amount as each view shows it at this moment.
  int64_t InRedis(int row) const {
    const std::string text =
        RedisOne(redis_->socket_path(), {"HGET", fmt::format("moves:{}", row), "amount"});
    return text.empty() ? -1 : std::stoll(text);
  }
  int64_t InSqlite(int row) const {
    return std::stoll(
        SqliteOne(sqlite_path_, fmt::format("SELECT amount FROM moves WHERE id = {}", row)));
  }
  static std::string Raise(int row) {
    return fmt::format("UPDATE moves SET amount = amount + 1 WHERE id = {}", row);
  }

  CdcOptions options_;
  std::unique_ptr<CdcWorker> worker_;
};

/// Raises all rows by 1, in one transaction each time, until it is destroyed.
class Writer {
 public:
  Writer(const std::string& dsn, const std::string& sql)
      : thread_([this, dsn, sql] {
          SourceClient client(dsn);
          while (!stop_) {
            client.Run(sql);
            ++commits_;
          }
        }) {}
  ~Writer() {
    stop_ = true;
    thread_.join();
  }
  int commits() const { return commits_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> commits_{0};
  std::thread thread_;
};

TEST_F(CdcTokenTest, AReaderWithTheTokenOfItsWriteNeverReadsStaleAndOneWithoutDoes) {
  const Writer others(postgres_->dsn(), "UPDATE moves SET amount = amount + 1 WHERE id > 4");
  std::atomic<int> stale_with{0}, stale_without{0}, reads{0};
  // Each raises a row of its own and reads it back from both views.
  const auto read_own_writes = [&](int row) {
    SourceClient client = Client();
    const auto redis = ViewWaiter::Connect(redis_view());
    const auto sqlite = ViewWaiter::Connect(sqlite_view());
    ASSERT_TRUE(redis && sqlite);
    for (int i = 1; reads < Reads(); ++i, reads += 2) {
      client.Run(Raise(row));
      const auto token = Lsn::Parse(client.Run("SELECT pg_current_wal_flush_lsn()"));
      ASSERT_TRUE(token);
      stale_without += (InRedis(row) < i) + (InSqlite(row) < i);
      for (ViewWaiter* waiter : {redis->get(), sqlite->get()}) {
        const Status waited = waiter->WaitFor(*token, In(seconds(60)));
        ASSERT_TRUE(waited.ok()) << waited.ToString();
      }
      stale_with += (InRedis(row) < i) + (InSqlite(row) < i);
    }
  };
  std::vector<std::thread> readers;
  for (int row = 1; row <= 4; ++row) readers.emplace_back(read_own_writes, row);
  for (std::thread& reader : readers) reader.join();
  std::printf("%d reads of own writes, stale with a token: %d, without: %d\n", reads.load(),
              stale_with.load(), stale_without.load());
  EXPECT_GE(reads, Reads());
  EXPECT_EQ(stale_with, 0);
  EXPECT_GT(stale_without, 0) << "then this proves nothing";
}

TEST_F(CdcTokenTest, ACutShowsBothViewsAtOneLsnAndReadsWithoutOneAreFractured) {
  const Writer writer(postgres_->dsn(), "UPDATE moves SET amount = amount + 1");
  int fractured_without = 0, reads = 0, ran_out = 0;
  Lsn last;
  for (int i = 0; reads < Reads(); ++i, reads += kRows) {
    for (int row = 1; row <= kRows; ++row) fractured_without += InRedis(row) != InSqlite(row);
    const auto cut = ConsistentCut::Take(redis_view(), sqlite_view(), In(seconds(30)));
    ASSERT_TRUE(cut) << cut.error().ToString() << (*worker_).health().ToString();
    std::vector<RedisCommand> gets;
    for (int row = 1; row <= kRows; ++row) {
      gets.push_back({"HGET", fmt::format("moves:{}", row), "amount"});
    }
    const auto in_redis = (*cut)->ReadRedis(gets);
    if (!in_redis && in_redis.error().code() == StatusCode::kAborted) {
      ++ran_out;  // on a machine that stood still for 2 s: it says so, and shows nothing
      continue;
    }
    ASSERT_TRUE(in_redis) << in_redis.error().ToString();
    const auto in_sqlite = (*cut)->ReadSqlite({"SELECT amount FROM moves ORDER BY id", {}});
    ASSERT_TRUE(in_sqlite) << in_sqlite.error().ToString();
    ASSERT_EQ(in_redis->size(), in_sqlite->size());
    for (size_t row = 0; row < in_redis->size(); ++row) {
      // Every transaction raises all rows: they are equal in one state, and in both views.
      const int64_t amount = std::get<int64_t>((*in_sqlite)[row][0].held);
      ASSERT_EQ(std::get<std::string>((*in_redis)[row].held), std::to_string(amount))
          << "fractured in cut " << i << " at " << (*cut)->lsn().ToString();
      ASSERT_EQ(amount, std::get<int64_t>((*in_sqlite)[0][0].held));
    }
    ASSERT_GE((*cut)->lsn(), last) << "a cut never goes back";
    last = (*cut)->lsn();
  }
  std::printf(
      "%d reads of both views in cuts, %d commits beside them: 0 fractured; without: %d; "
      "%d cuts ran out\n",
      reads, writer.commits(), fractured_without, ran_out);
  EXPECT_GT(fractured_without, 0) << "then this proves nothing";
  EXPECT_LE(ran_out, Reads() / 100);
  EXPECT_GT(writer.commits(), 0);
}

TEST_F(CdcTokenTest, ACutIsNotOlderThanTheTokenItIsAskedFor) {
  SourceClient client = Client();
  for (int i = 1; i <= 20; ++i) {
    client.Run(Raise(3));
    const auto token = Lsn::Parse(client.Run("SELECT pg_current_wal_flush_lsn()"));
    ASSERT_TRUE(token);
    const auto cut = ConsistentCut::Take(redis_view(), sqlite_view(), In(seconds(30)), *token);
    ASSERT_TRUE(cut) << cut.error().ToString();
    EXPECT_GE((*cut)->lsn(), *token);
    const auto amount = (*cut)->ReadRedis({{"HGET", "moves:3", "amount"}});
    ASSERT_TRUE(amount) << amount.error().ToString();
    EXPECT_EQ(std::get<std::string>((*amount)[0].held), std::to_string(i));
  }
}

TEST_F(CdcTokenTest, ACutComesAboutAlthoughASinkTakesLongerThanAHoldLasts) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(sqlite_path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Client().Run(Raise(1));
  EXPECT_TRUE(Eventually([&] { return InRedis(1) == 1; }));
  std::thread taker([&] {
    const auto cut = ConsistentCut::Take(redis_view(), sqlite_view(), In(seconds(30)));
    ASSERT_TRUE(cut) << cut.error().ToString();
    const auto amount = (*cut)->ReadRedis({{"HGET", "moves:1", "amount"}});
    ASSERT_TRUE(amount) << amount.error().ToString();
    const auto row = (*cut)->ReadSqlite({"SELECT amount FROM moves WHERE id = 1", {}});
    ASSERT_TRUE(row) << row.error().ToString();
    EXPECT_EQ(std::get<std::string>((*amount)[0].held), "2");
    EXPECT_EQ(std::get<int64_t>((*row)[0][0].held), 2);
  });
  const auto held = [&] {
    return RedisOne(redis_->socket_path(), {"GET", "indoubt:cdc:hold:cache"}) != "";
  };
  EXPECT_TRUE(Eventually(held));
  Client().Run(Raise(1));
  EXPECT_TRUE(Eventually([&] { return !held() && InRedis(1) == 2; })) << "it has run out";
  EXPECT_EQ(sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  taker.join();
}

TEST_F(CdcTokenTest, AHoldThatRunsOutLetsTheViewGoOnAndItsReadsDoNotCount) {
  auto cut = ConsistentCut::Take(redis_view(), sqlite_view(), In(seconds(30)));
  ASSERT_TRUE(cut) << cut.error().ToString();
  const auto second = ConsistentCut::Take(redis_view(), sqlite_view(), In(seconds(0)));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kDeadlineExceeded);
  Client().Run(Raise(1));
  EXPECT_TRUE(Eventually([&] { return InSqlite(1) == 1; }));
  EXPECT_EQ(InRedis(1), 0) << "it is held";
  EXPECT_TRUE(Eventually([&] { return InRedis(1) == 1; })) << "nobody holds it for ever";
  const auto read = (*cut)->ReadRedis({{"HGET", "moves:1", "amount"}});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code(), StatusCode::kAborted);
  EXPECT_TRUE(worker_->health().ok()) << worker_->health().ToString();
}

TEST_F(CdcTokenTest, WaitingForWhatDoesNotComeEndsAtTheDeadlineAndSaysHowFarItIs) {
  const auto waiter = ViewWaiter::Connect(sqlite_view());
  ASSERT_TRUE(waiter) << waiter.error().ToString();
  const Status waited =
      (*waiter)->WaitFor(Lsn{uint64_t{1} << 60}, In(std::chrono::milliseconds(30)));
  EXPECT_EQ(waited.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(waited.message(), testing::HasSubstr("the view is at 0/"));
  ViewOptions absent = sqlite_view();
  absent.sink += ".absent";
  const auto none = ViewWaiter::Connect(absent);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace indoubt
