// A table that is rewritten while the source's tables are copied looks empty to an older
// snapshot: all its rows are in the views for all that, or an error names it.
#include <future>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <signal.h>

#include "base/failpoint.h"
#include "cdc/log/sqlite_event_log.h"
#include "cdc/rebuild/rebuild.h"
#include "tests/cdc/kill_fixture.h"
#include "tests/support/fail_point_gate.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

// Of a child, which is stopped before that is over.
constexpr auto kHeldUp = "sleep(4s)";

class CdcSnapshotRewriteTest : public CdcKillFixture {
 protected:
  void SetUp() override {
    CdcKillFixture::SetUp();
    if (HasFatalFailure()) return;
    Client().Run(
        "INSERT INTO moves(item, amount) SELECT 'a' || n % 8, n FROM "
        "generate_series(1, 3000) n;"
        "INSERT INTO account SELECT n, n FROM generate_series(8, 2500) n");
  }
  void TearDown() override { ASSERT_TRUE(ConfigureFailPoints("").ok()); }

  // The same values and types in new files.
  void RewriteAccount() {
    Client().Run("ALTER TABLE account ALTER balance TYPE bigint USING balance + 0");
  }
  // Until a transaction of the child has its snapshot and does nothing after a statement that
  // begins with `last`.
  void AwaitSnapshot(const std::string& last) {
    EXPECT_TRUE(Eventually([&] {
      return Client().Run(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                 "AND application_name = 'indoubt-cdc' AND state = 'idle in transaction' "
                 "AND backend_xmin IS NOT NULL AND starts_with(query, '" +
                 last + "')") == "1";
    })) << ChildOutput();
  }
  // Stops the child where its fail point holds it up, so that nothing depends on for how long.
  void StopBehind(Process& child, const std::string& last) {
    AwaitSnapshot(last);
    child.Signal(SIGSTOP);
    AwaitSnapshot(last);  // it has not gone on before it was stopped
  }
  uint64_t SnapshotLsn() const {
    const auto log = OpenSqliteEventLog(event_log_path_);
    EXPECT_TRUE(log) << log.error().ToString();
    const auto progress = (*log)->ReadSnapshotProgress();
    EXPECT_TRUE(progress && *progress);
    return (*progress)->lsn();
  }
};

TEST_F(CdcSnapshotRewriteTest, ARewriteWaitsUntilAllTablesAreCopied) {
  const auto child = StartChild(fmt::format("cdc_snapshot_chunk:1={}", kHeldUp));
  StopBehind(*child, "FETCH");  // the first chunk of moves is there
  auto rewrite = std::async(std::launch::async, [this] { RewriteAccount(); });
  EXPECT_TRUE(Eventually([&] {
    return Client().Run(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
               "starts_with(query, 'ALTER TABLE account')") == "1";
  }));
  child->Signal(SIGCONT);
  rewrite.get();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSnapshotRewriteTest, ATableRewrittenBeforeItIsLockedIsCopiedFromANewSnapshot) {
  const auto child = StartChild(fmt::format("cdc_snapshot_begun:1={}", kHeldUp));
  StopBehind(*child, "SET TRANSACTION SNAPSHOT");
  RewriteAccount();
  child->Signal(SIGCONT);
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSnapshotRewriteTest, ATableRewrittenWhileACopyIsGoneOnWithMakesItBeginAnew) {
  {
    const auto killed = StartChild("cdc_snapshot_chunk:2=kill");
    ASSERT_TRUE(killed->Wait(SystemClock().Now() + std::chrono::minutes(1)));
  }
  const uint64_t first = SnapshotLsn();
  auto child = StartChild(fmt::format("cdc_snapshot_begun:1={}", kHeldUp));
  StopBehind(*child, "SELECT pg_current_snapshot");
  RewriteAccount();
  child->Signal(SIGCONT);
  ExpectEverythingEqualsSource();
  child.reset();  // lets go of the log
  EXPECT_GT(SnapshotLsn(), first);
}

TEST_F(CdcSnapshotRewriteTest, APublicationThatWasAlteredMeanwhileMakesACopyBeginAnew) {
  {
    const auto killed = StartChild("cdc_snapshot_chunk:2=kill");
    ASSERT_TRUE(killed->Wait(SystemClock().Now() + std::chrono::minutes(1)));
  }
  const uint64_t first = SnapshotLsn();
  Client().Run("ALTER PUBLICATION indoubt DROP TABLE moves");
  Client().Run("INSERT INTO moves(item, amount) VALUES ('unpublished', 1)");
  Client().Run("ALTER PUBLICATION indoubt ADD TABLE moves");
  auto child = StartChild("");
  ExpectEverythingEqualsSource();
  child.reset();  // lets go of the log
  EXPECT_GT(SnapshotLsn(), first);
}

TEST_F(CdcSnapshotRewriteTest, ATableThatStaysLockedIsNamedWithWhoHasIt) {
  CdcOptions options = AllOptions();
  options.slot_lock_timeout = std::chrono::milliseconds(200);
  FailPointGate begun("cdc_snapshot_begun");
  auto start = std::async(std::launch::async, [&] { return CdcWorker::Start(options); });
  EXPECT_TRUE(Eventually([&] { return begun.reached(); }));
  SourceClient holder = Client();
  holder.Run("BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE");
  const std::string pid = holder.Run("SELECT pg_backend_pid()");
  begun.Open();
  const auto refused = start.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), StatusCode::kLocked) << refused.error().ToString();
  EXPECT_THAT(refused.error().message(), HasSubstr("locking table \"account\""));
  EXPECT_THAT(refused.error().message(), HasSubstr("process " + pid));
  holder.Run("COMMIT");
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSnapshotRewriteTest, ARebuildNamesTheTableThatWasRewritten) {
  FailPointGate begun("cdc_snapshot_begun", 2);  // the first is the worker's
  const CdcOptions options = AllOptions();
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectEverythingEqualsSource();
  const auto rebuild = [&] {
    return RebuildView(options, "rows_table", std::chrono::seconds(60));
  };
  auto first = std::async(std::launch::async, rebuild);
  EXPECT_TRUE(Eventually([&] { return begun.reached(); }));
  RewriteAccount();
  begun.Open();
  const auto refused = first.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), StatusCode::kAborted) << refused.error().ToString();
  EXPECT_THAT(refused.error().message(), HasSubstr("table \"account\""));
  const auto second = rebuild();
  ASSERT_TRUE(second) << second.error().ToString();
  EXPECT_TRUE(second->differing.empty());
  ExpectEverythingEqualsSource();
}

}  // namespace
}  // namespace indoubt
