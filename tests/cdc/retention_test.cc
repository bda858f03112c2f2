// The event log's retention under a worker with real stores: what holds it, what is told, and
// what becomes of views that come, or come back, when the log's beginning is gone.
#include <atomic>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cdc/rebuild/rebuild.h"
#include "cdc/report.h"
#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CdcRetentionTest : public CdcKillFixture {
 protected:
  static constexpr milliseconds kShort{1};

  /// What a view that did not come along had to say.
  void TearDown() override {
    if (!HasFailure() || !worker_) return;
    for (const ViewState& view : worker_->status().views) {
      fmt::print("{} is at {}, {} behind: {}\n", view.name, view.position.lsn.ToString(),
                 view.backlog, view.health.ToString());
    }
  }
  void Start(const CdcOptions& options) {
    worker_.reset();
    auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    worker_ = std::move(*worker);
  }
  /// The views of sums alone, of both tables.
  CdcOptions SumsOnly() const {
    CdcOptions options = AllOptions();
    options.views.resize(2);
    return options;
  }
  /// Keeps what the views need, and nothing else.
  static CdcOptions Briefly(CdcOptions options) {
    options.retention.time = kShort;
    return options;
  }
  /// View "table" refuses rows of item "poison" as long as `poisoned_`.
  CdcOptions Poisoned(CdcOptions options) {
    poisoned_ = true;
    const SqliteDerivation derive = options.views[1].derivation.sqlite;
    options.views[1].derivation.sqlite =
        [this, derive](const RowChange& change) -> Result<std::vector<SqlStatement>> {
      const bool poison = change.relation->name == "moves" && change.after &&
                          change.after->at("item") == "poison";
      if (poison && poisoned_) {
        return Status(StatusCode::kInvalidArgument, "cannot digest");
      }
      return derive(change);
    };
    return options;
  }
  LogReport LogNow(const CdcOptions& options) const {
    return ReadCdcReport(options, SystemClock().Now() + seconds(5)).log;
  }
  Lsn From() const { return LogNow(Options()).from.value_or(Lsn{}); }
  void Insert(int count, const std::string& item = "a") {
    SourceClient client = Client();
    for (int i = 0; i < count; ++i) {
      client.Run("INSERT INTO moves(item, amount) VALUES ('" + item + "', 1)");
    }
  }
  /// Three chunks of a copy, in one transaction.
  void InsertManyOldRows() {
    Client().Run(
        "INSERT INTO moves(item, amount) SELECT 'old', 1 FROM generate_series(1, 2500)");
  }
  /// Waits until the log has lost what was there before this was called.
  void AwaitRemoval() {
    const Lsn now{
        Lsn::Parse(Client().Run("SELECT pg_current_wal_flush_lsn()")).value_or(Lsn{})};
    Insert(2);
    const bool removed = Eventually([&] { return From() >= now; });
    EXPECT_TRUE(removed) << From().ToString() << " of " << now.ToString() << " "
                         << worker_->health().ToString();
  }
  Status HealthOf(const std::string& view) const {
    for (const ViewState& state : worker_->status().views) {
      if (state.name == view) return state.health;
    }
    return Status(StatusCode::kNotFound, view);
  }

  /// Under load, a worker that dies at `point`, which it must come to.
  void DieAt(const std::string& point) {
    SCOPED_TRACE(fmt::format("{}, seed {}", point, SeedOfThisRun()));
    const SourceLoad load(postgres_->dsn(), /*two_phase=*/false, SeedOfThisRun());
    const auto child = StartChild(point + "=kill");
    const auto ended = child->Wait(SystemClock().Now() + seconds(60));
    ASSERT_TRUE(ended) << "never came to the fail point";
    EXPECT_TRUE(ended->by_signal && ended->code == SIGKILL) << ended->code << ChildOutput();
  }
  /// `some`, and `more` in the long form.
  static std::vector<const char*> Points(std::vector<const char*> some,
                                         const std::vector<const char*>& more) {
    if (std::getenv("INDOUBT_LONG")) some.insert(some.end(), more.begin(), more.end());
    return some;
  }

  std::atomic<bool> poisoned_{false};
  std::unique_ptr<CdcWorker> worker_;
};

TEST_F(CdcRetentionTest, AViewThatIsBehindHoldsTheLogAndIsNamed) {
  CdcOptions options = Briefly(SumsOnly());
  Start(options);
  Insert(5);
  AwaitRemoval();
  redis_->Kill();
  const Lsn before = From();
  Insert(20);
  LogReport log;
  EXPECT_TRUE(Eventually([&] {
    log = LogNow(options);
    return log.overdue_seconds.value_or(0) > 2;
  }));
  EXPECT_THAT(log.held_by, ElementsAre("cache"));
  EXPECT_GE(*log.from, before);
  const std::string metrics =
      ToPrometheus(ReadCdcReport(options, SystemClock().Now() + seconds(5)));
  EXPECT_THAT(metrics, HasSubstr("indoubt_cdc_view_holds_log{view=\"cache\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("indoubt_cdc_view_holds_log{view=\"table\"} 0"));
  ASSERT_TRUE(redis_->Restart().ok());
  AwaitRemoval();
  EXPECT_THAT(LogNow(options).held_by, ElementsAre());
  ExpectViewsEqualSource();
}

TEST_F(CdcRetentionTest, AViewThatIsBehindStopsWhereItIsToldSoAndARebuildBringsItBack) {
  CdcOptions options = Briefly(SumsOnly());
  // Which the view that goes on is well within, and the rebuilt one: a view that was refused
  // looks again after 2 s at the latest.
  options.retention.time = seconds(5);
  options.retention.on_view_lag = OnViewLag::kStop;
  Start(options);
  Insert(5);
  ExpectViewsEqualSource();
  redis_->Kill();
  Insert(20);
  AwaitRemoval();
  ASSERT_TRUE(redis_->Restart().ok());
  EXPECT_TRUE(Eventually([&] { return HealthOf("cache").code() == StatusCode::kRefused; }))
      << HealthOf("cache").ToString();
  EXPECT_THAT(HealthOf("cache").message(), HasSubstr("indoubt cdc rebuild"));
  const auto rebuilt = RebuildView(options, "cache", seconds(30));
  ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
  EXPECT_TRUE(rebuilt->from_snapshot);
  EXPECT_THAT(rebuilt->differing, ElementsAre());
  Insert(3, "b");
  ExpectViewsEqualSource();
}

TEST_F(CdcRetentionTest, AParkedEventIsKeptUntilItIsRetried) {
  const CdcOptions options = Poisoned(Briefly(SumsOnly()));
  Start(options);
  Insert(3);
  Insert(1, "poison");
  Insert(3);
  EXPECT_TRUE(Eventually([&] { return worker_->status().views[1].parked == 1; }));
  LogReport log;
  EXPECT_TRUE(Eventually([&] {
    log = LogNow(options);
    return log.overdue_seconds.value_or(0) > 2;
  }));
  EXPECT_THAT(log.held_by, ElementsAre("table"));
  poisoned_ = false;
  ASSERT_TRUE(AskForRetry(options.views[1]).ok());
  EXPECT_TRUE(Eventually([&] { return worker_->status().views[1].parked == 0; }));
  AwaitRemoval();
  ExpectViewsEqualSource();
}

TEST_F(CdcRetentionTest, ARetryOfAParkedEventThatWasRemovedSaysSoAndTheViewGoesOn) {
  CdcOptions options = Poisoned(SumsOnly());
  options.retention.time = seconds(5);  // which both views are well within
  options.retention.on_view_lag = OnViewLag::kStop;
  const ViewOptions& view = options.views[1];
  Start(options);
  Insert(1, "poison");
  EXPECT_TRUE(Eventually([&] { return worker_->status().views[1].parked == 1; }));
  AwaitRemoval();
  poisoned_ = false;
  ASSERT_TRUE(AskForRetry(view).ok());
  EXPECT_TRUE(Eventually([&] { return !RetryIsPending(view).value_or(true); }))
      << HealthOf("table").ToString();
  const auto parked = ReadParkedEvents(view);
  ASSERT_TRUE(parked) << parked.error().ToString();
  ASSERT_EQ(parked->size(), 1u);
  EXPECT_THAT(parked->front().reason, HasSubstr("not in the event log any more"));
  EXPECT_THAT(parked->front().reason, HasSubstr("indoubt cdc rebuild table"));
  EXPECT_THAT(parked->front().reason, HasSubstr("cannot digest"));
  Insert(3, "b");
  EXPECT_TRUE(Eventually([&] { return SqliteSums(sqlite_path_)["b"] == 3; }))
      << HealthOf("table").ToString();
  EXPECT_TRUE(HealthOf("table").ok()) << HealthOf("table").ToString();
  // Asked again, it says so again and no more.
  const std::string said = parked->front().reason;
  ASSERT_TRUE(AskForRetry(view).ok());
  EXPECT_TRUE(Eventually([&] { return !RetryIsPending(view).value_or(true); }));
  const auto again = ReadParkedEvents(view);
  ASSERT_TRUE(again && again->size() == 1);
  EXPECT_EQ(again->front().reason, said);
  const auto rebuilt = RebuildView(options, "table", seconds(30));
  ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
  ExpectViewsEqualSource();
}

TEST_F(CdcRetentionTest, AViewAddedAfterARemovalIsCopiedFromTheSourceUnderLoad) {
  InsertManyOldRows();
  Start(Briefly(SumsOnly()));
  Insert(5);
  AwaitRemoval();
  {
    const SourceLoad load(postgres_->dsn(), /*two_phase=*/false, SeedOfThisRun());
    CdcOptions more = Briefly(AllOptions());
    Start(more);
    EXPECT_TRUE(Eventually([&] {
      return HealthOf("rows_table").ok() && HealthOf("rows_cache").ok();
    })) << worker_->health().ToString();
    AwaitRemoval();
  }
  ExpectEverythingEqualsSource();
}

// What is copied is no event that could be parked.
TEST_F(CdcRetentionTest, ACopyThatTheViewRefusesEndsAsEventsDoAndARebuildBringsTheView) {
  InsertManyOldRows();
  CdcOptions only_cache = Briefly(SumsOnly());
  only_cache.views.resize(1);
  Start(only_cache);
  Insert(1, "poison");
  AwaitRemoval();
  CdcOptions both = Poisoned(Briefly(SumsOnly()));
  const SqliteDerivation derive = both.views[1].derivation.sqlite;
  std::atomic<int> refused = 0;
  both.views[1].derivation.sqlite = [&, derive](const RowChange& change) {
    auto derived = derive(change);
    if (!derived) ++refused;
    return derived;
  };
  Start(both);
  const auto ended = [&] {
    return HealthOf("table").message().find("it is not tried again") != std::string::npos;
  };
  EXPECT_TRUE(Eventually(ended, seconds(60))) << HealthOf("table").ToString();
  EXPECT_EQ(refused, 3);
  const Status health = HealthOf("table");
  EXPECT_EQ(health.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(health.message(), HasSubstr("view table: copying the source's tables: at 0/"));
  EXPECT_THAT(health.message(), HasSubstr("deriving from table public.moves"));
  EXPECT_THAT(health.message(), HasSubstr("cannot digest"));
  EXPECT_THAT(health.message(), HasSubstr("indoubt cdc rebuild table"));
  // The server drops it once it has noticed that its connection is gone.
  EXPECT_TRUE(Eventually([&] {
    return Client().Run("SELECT count(*) FROM pg_replication_slots WHERE temporary") == "0";
  }));
  EXPECT_TRUE(HealthOf("cache").ok()) << HealthOf("cache").ToString();
  poisoned_ = false;
  const auto rebuilt = RebuildView(both, "table", seconds(30));
  ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
  Insert(3, "b");
  EXPECT_TRUE(Eventually([&] { return HealthOf("table").ok(); }))
      << HealthOf("table").ToString();
  ExpectViewsEqualSource();
}

TEST_F(CdcRetentionTest, AViewThatComesBackTooLateIsRefusedAndHeldNothingMeanwhile) {
  Start(Briefly(AllOptions()));
  Insert(5);
  ExpectEverythingEqualsSource();
  Start(Briefly(SumsOnly()));  // without the views of rows
  Insert(5);
  AwaitRemoval();
  Start(Briefly(AllOptions()));
  for (const char* view : {"rows_table", "rows_cache", "rows_search"}) {
    EXPECT_TRUE(Eventually([&] { return HealthOf(view).code() == StatusCode::kRefused; }))
        << HealthOf(view).ToString();
    EXPECT_THAT(HealthOf(view).message(), HasSubstr("indoubt cdc rebuild"));
    const auto rebuilt = RebuildView(AllOptions(), view, seconds(30));
    ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
    EXPECT_TRUE(rebuilt->from_snapshot);
  }
  ExpectEverythingEqualsSource();
}

TEST_F(CdcRetentionTest, ACompactedLogRebuildsWhatUpsertsAndNothingElse) {
  CdcOptions options = AllOptions();
  options.retention.compact = true;
  Start(options);
  const auto change = [&] {
    SourceClient client = Client();
    for (int i = 0; i < 400; ++i) {
      client.Run(fmt::format("UPDATE account SET balance = balance + 1 WHERE id = {}", i % 7));
    }
  };
  Insert(20);
  change();
  EXPECT_TRUE(Eventually([&] { return LogNow(options).compacted.value_or(Lsn{}) > Lsn{}; }));
  change();
  for (const ViewOptions& view : options.views) {
    const auto rebuilt = RebuildView(options, view.name, seconds(30));
    ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
    EXPECT_EQ(rebuilt->from_snapshot, !view.name.starts_with("rows")) << view.name;
    EXPECT_THAT(rebuilt->differing, ElementsAre());
  }
  ExpectEverythingEqualsSource();
}

TEST_F(CdcRetentionTest, KilledWhileItCompactsItLosesNothing) {
  retention_ = "key";
  for (const char* point : Points({"cdc_log_compacting:2", "cdc_log_compacted"},
                                  {"cdc_log_compacting", "cdc_log_compacted:2"})) {
    DieAt(point);
    if (HasFatalFailure()) return;
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
    const auto rebuilt = RebuildView(AllOptions(), "rows_table", seconds(30));
    ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
    EXPECT_THAT(rebuilt->differing, ElementsAre());
    EXPECT_FALSE(rebuilt->from_snapshot);
  }
}

TEST_F(CdcRetentionTest, KilledWhileItRemovesItLosesNothing) {
  retention_ = "1ms";
  last_view_ = "table";
  for (const char* point : Points({"cdc_log_removing:3", "cdc_log_removed"},
                                  {"cdc_log_removing", "cdc_log_removed:4"})) {
    DieAt(point);
    if (HasFatalFailure()) return;
    const auto child = StartChild("");
    ExpectViewsEqualSource();
  }
}

TEST_F(CdcRetentionTest, KilledWhileItCopiesAViewItLosesNothing) {
  retention_ = "1ms";
  InsertManyOldRows();
  last_view_ = "table";
  DieAt("cdc_log_removed");  // so that the next ones cannot come from the log
  if (HasFatalFailure()) return;
  ASSERT_GT(From(), Lsn{});
  // One view after the other, since one is not copied again when it is whole.
  for (const std::string view : {"rows_cache", "rows_table", "rows_search"}) {
    last_view_ = view;
    for (const std::string chunk : Points({"2"}, {"1", "3"})) {
      DieAt("cdc_view_copying@" + view + ":" + chunk);
      if (HasFatalFailure()) return;
    }
    DieAt("cdc_view_copied@" + view);
    if (HasFatalFailure()) return;
  }
  const auto child = StartChild("");
  ExpectEverythingEqualsSource();
}

}  // namespace
}  // namespace indoubt
