// The slot is dropped, moved or invalidated under the worker's feet. Never silence: an
// error that names the gap, or a new snapshot after which the views equal the source.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>

#include <gmock/gmock.h>

#include "cdc/log/sqlite_event_log.h"
#include "faults/proxy.h"
#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class CdcSlotLossTest : public CdcKillFixture {
 protected:
  /// Lets the views reach a first state, then returns.
  void RunOnce() {
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1), ('a2', 20), ('gone', 7)");
    const auto worker = CdcWorker::Start(AllOptions());
    ASSERT_TRUE(worker) << worker.error().ToString();
    ExpectEverythingEqualsSource();
  }
  /// Changes that no worker will ever be sent.
  void ChangeUnseen() const {
    Client().Run(
        "DELETE FROM moves WHERE item = 'gone';"
        "INSERT INTO moves(item, amount) VALUES ('a1', 300), ('unseen', 1);"
        "UPDATE account SET balance = 17 WHERE id = 3");
  }
  CdcOptions WithSnapshot() const {
    CdcOptions options = AllOptions();
    options.on_slot_loss = OnSlotLoss::kSnapshot;
    return options;
  }
  /// Writes so much that the server, told to keep little, gives the slot up.
  void Invalidate() const {
    SourceClient client = Client();
    client.Run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
    client.Run("SELECT pg_reload_conf()");
    EXPECT_TRUE(Eventually([&] {
      client.Run("CREATE TABLE IF NOT EXISTS filler(n int); INSERT INTO filler VALUES (1)");
      client.Run("SELECT pg_switch_wal()");
      client.Run("CHECKPOINT");
      return client.Run("SELECT wal_status FROM pg_replication_slots") == "lost";
    }));
  }
  void ExpectNextStartSays(StatusCode code, const std::string& words) const {
    const auto worker = CdcWorker::Start(AllOptions());
    ASSERT_FALSE(worker);
    EXPECT_EQ(worker.error().code(), code) << worker.error().ToString();
    EXPECT_THAT(worker.error().message(), HasSubstr(words));
  }
  void Copy(const std::string& from, const std::string& to) const {
    const auto copied = RunProgram({.argv = {"cp", "-a", from, to}},
                                   SystemClock().Now() + std::chrono::minutes(1));
    ASSERT_TRUE(copied) << copied.error().ToString();
  }
  /// Keeps a copy of the server's files as they are while it is stopped.
  void BackUp() {
    postgres_->StopFast();
    Copy(postgres_->data_folder(), postgres_->data_folder() + ".backup");
    ASSERT_TRUE(postgres_->Restart().ok());
  }
  /// Puts the copy in the place of the server's files, and leaves the server stopped.
  void PutBack() {
    postgres_->StopFast();
    std::filesystem::remove_all(postgres_->data_folder());
    Copy(postgres_->data_folder() + ".backup", postgres_->data_folder());
  }
  /// The source is as it was before a change that the log and the views have.
  void RestoreAnOlderState() {
    RunOnce();
    BackUp();
    Client().Run("INSERT INTO moves(item, amount) VALUES ('ghost', 1)");
    RunOnce();
    PutBack();
    ASSERT_TRUE(postgres_->Restart().ok());
  }
  /// Writes, not into tables of ours, until the source is beyond the log's end.
  void GoBeyondTheLog() const {
    SourceClient client = Client();
    client.Run(
        "INSERT INTO elsewhere(note) SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
    EXPECT_EQ(client.Run("SELECT pg_current_wal_flush_lsn() > '" + LoggedUpTo() + "'"), "t");
  }
  /// Lets the server begin a new timeline where its files end.
  void BeginATimeline() {
    const std::string data = postgres_->data_folder();
    std::ofstream(data + "/postgresql.auto.conf", std::ios::app)
        << "restore_command = 'false'\n";
    const auto signal = RunProgram({.argv = {"cp", "-a", "--attributes-only",
                                             data + "/PG_VERSION", data + "/recovery.signal"}},
                                   SystemClock().Now() + std::chrono::minutes(1));
    ASSERT_TRUE(signal) << signal.error().ToString();
    ASSERT_TRUE(postgres_->Restart().ok());
    EXPECT_TRUE(Eventually([&] { return Client().Run("SELECT pg_is_in_recovery()") == "f"; }));
    EXPECT_EQ(Client().Run("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"),
              "00000002");
  }
  /// As a log that was filled from a source with these marks has them.
  void AmendSourceMarks(const std::function<void(events::SnapshotProgress&)>& amend) const {
    const auto log = OpenSqliteEventLog(event_log_path_);
    ASSERT_TRUE(log) << log.error().ToString();
    auto progress = (*log)->ReadSnapshotProgress();
    ASSERT_TRUE(progress && *progress);
    ASSERT_NE((*progress)->source().system(), 0);
    amend(**progress);
    ASSERT_TRUE((*log)->AmendSnapshotProgress(**progress).ok());
  }
  std::string LoggedUpTo() const {
    return SqliteOne(event_log_path_,
                     "SELECT printf('%X/%X', complete >> 32, complete & 0xffffffff) FROM log");
  }
};

TEST_F(CdcSlotLossTest, AWorkerWhoseSlotIsDroppedEndsWithAnErrorThatNamesTheGap) {
  const auto child = StartChild("");
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1)");
  ExpectEverythingEqualsSource();
  DropSlot();
  const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(ended && !ended->by_signal);
  EXPECT_EQ(ended->code, 1);
  EXPECT_THAT(ChildOutput(),
              HasSubstr("slot \"indoubt\" is gone: the changes from " + LoggedUpTo() + " to "));
}

TEST_F(CdcSlotLossTest, TheNextStartNamesTheGapOfADroppedSlot) {
  RunOnce();
  Client().Run("SELECT pg_drop_replication_slot('indoubt')");
  ChangeUnseen();
  ExpectNextStartSays(StatusCode::kNotFound, "the changes from " + LoggedUpTo() + " to 0/");
}

TEST_F(CdcSlotLossTest, TheNextStartNamesTheGapOfAMovedSlot) {
  RunOnce();
  ChangeUnseen();
  const std::string moved = Client().Run(
      "SELECT end_lsn FROM pg_replication_slot_advance('indoubt', pg_current_wal_flush_lsn())");
  ExpectNextStartSays(StatusCode::kCorrupt,
                      "the changes from " + LoggedUpTo() + " to " + moved + " are missing");
}

TEST_F(CdcSlotLossTest, TheNextStartNamesTheGapOfAnInvalidatedSlot) {
  RunOnce();
  ChangeUnseen();
  Invalidate();
  ExpectNextStartSays(StatusCode::kCorrupt, "was invalidated by the server");
  ExpectNextStartSays(StatusCode::kCorrupt, "the changes from " + LoggedUpTo() + " to 0/");
}

TEST_F(CdcSlotLossTest, ASourceRestoredFromAnOlderBackupIsNotFollowed) {
  ASSERT_NO_FATAL_FAILURE(RestoreAnOlderState());
  ExpectNextStartSays(StatusCode::kCorrupt, "restored from an older backup");
  const auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSlotLossTest, ARestoredSourceThatIsBeyondTheLogsEndAgainIsNotFollowed) {
  ASSERT_NO_FATAL_FAILURE(RestoreAnOlderState());
  Client().Run("INSERT INTO moves(item, amount) VALUES ('instead', 1)");
  GoBeyondTheLog();
  ExpectNextStartSays(StatusCode::kCorrupt, "has written on since");
  const auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_TRUE(worker) << worker.error().ToString();
  EXPECT_EQ((*worker)->status().last_loss.code(), StatusCode::kCorrupt);
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSlotLossTest, WhatTheLogPassedWithoutEventsIsNotPassedOverInARestoredSource) {
  RunOnce();
  BackUp();
  {
    const auto worker = CdcWorker::Start(AllOptions());
    ASSERT_TRUE(worker) << worker.error().ToString();
    GoBeyondTheLog();
    ExpectEverythingEqualsSource();
  }
  PutBack();
  ASSERT_TRUE(postgres_->Restart().ok());
  Client().Run(
      "BEGIN; INSERT INTO moves(item, amount) VALUES ('instead', 1); PREPARE TRANSACTION "
      "'new'");
  Client().Run("COMMIT PREPARED 'new'");
  for (int more = 0; more < 2; ++more) {
    Client().Run(
        "INSERT INTO elsewhere(note) SELECT repeat('x', 1000) FROM generate_series(1, 2000)");
  }
  GoBeyondTheLog();
  ExpectNextStartSays(StatusCode::kCorrupt, "of which the log knows nothing");
}

TEST_F(CdcSlotLossTest, ASourceThatWasRestartedOrKilledIsTheSame) {
  RunOnce();
  Client().Run("BEGIN; INSERT INTO elsewhere(note) VALUES ('x'); PREPARE TRANSACTION 'theirs'");
  RunOnce();
  Client().Run("COMMIT PREPARED 'theirs'");
  RunOnce();
  postgres_->Kill();
  ASSERT_TRUE(postgres_->Restart().ok());
  RunOnce();
  AmendSourceMarks([](events::SnapshotProgress& progress) { progress.clear_source(); });
  RunOnce();
  AmendSourceMarks([](events::SnapshotProgress&) {});  // it has them again
}

TEST_F(CdcSlotLossTest, ATimelineThatWasLeftBehindAllThatTheLogHasIsFollowed) {
  RunOnce();
  postgres_->StopFast();
  ASSERT_NO_FATAL_FAILURE(BeginATimeline());
  RunOnce();
  AmendSourceMarks(
      [](events::SnapshotProgress& progress) { EXPECT_EQ(progress.source().timeline(), 2u); });
}

TEST_F(CdcSlotLossTest, ATimelineThatWasLeftBeforeTheLogsEndIsNotFollowed) {
  RunOnce();
  BackUp();
  RunOnce();
  PutBack();
  ASSERT_NO_FATAL_FAILURE(BeginATimeline());
  GoBeyondTheLog();
  ExpectNextStartSays(StatusCode::kCorrupt,
                      "the source is on timeline 2, which left timeline 1");
  const auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSlotLossTest, AnotherServerIsRefusedAndNothingIsMadeAnewThere) {
  RunOnce();
  AmendSourceMarks([](events::SnapshotProgress& progress) {
    progress.mutable_source()->set_system(progress.source().system() + 1);
  });
  ExpectNextStartSays(StatusCode::kRefused,
                      "another server than the event log was filled from");
  const auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kRefused);
  EXPECT_EQ(Client().Run("SELECT count(*) FROM pg_replication_slots"), "1");
}

TEST_F(CdcSlotLossTest, ADroppedSlotIsMadeAnewWithASnapshotWhileTheWorkerRuns) {
  auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_TRUE(worker) << worker.error().ToString();
  for (int round = 0; round < 3; ++round) {
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1), ('gone', 7)");
    ExpectEverythingEqualsSource();
    const Status before = (*worker)->status().last_loss;
    DropSlot();
    ChangeUnseen();
    EXPECT_TRUE(Eventually([&] { return (*worker)->status().last_loss != before; }));
    EXPECT_THAT((*worker)->status().last_loss.message(), HasSubstr("the changes from 0/"));
    EXPECT_TRUE(Eventually([&] { return (*worker)->health().ok(); }))
        << (*worker)->health().ToString();
    Client().Run("INSERT INTO moves(item, amount) VALUES ('after', 1)");
    ExpectEverythingEqualsSource();
    EXPECT_FALSE((*worker)->source_lost());
  }
}

TEST_F(CdcSlotLossTest, ALossThatCannotBeLookedIntoAtOnceIsMendedAllTheSame) {
  const std::string folder = folder_.path() + "/proxy";
  constexpr char kSocket[] = "/.s.PGSQL.5432";
  std::filesystem::create_directory(folder);
  const auto proxy = Proxy::Start({.listen = "unix:" + folder + kSocket,
                                   .server = "unix:" + postgres_->socket_folder() + kSocket});
  ASSERT_TRUE(proxy) << proxy.error().ToString();
  CdcOptions options = WithSnapshot();
  options.source_dsn += " host=" + folder;
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1), ('gone', 7)");
  ExpectEverythingEqualsSource();
  (*proxy)->Refuse(true);
  (*proxy)->StrikeAll(ProxyAction::kCut);
  DropSlot();
  ChangeUnseen();
  // The stream's own look at the slot finds it gone; the one that asks whether a new snapshot
  // would help is lost.
  (*proxy)->Arm(
      {.direction = Direction::kToServer, .turn = 2, .containing = "pg_replication_slots"});
  (*proxy)->Refuse(false);
  ASSERT_TRUE(Eventually([&] { return !(*worker)->status().last_loss.ok(); }))
      << (*worker)->health().ToString();
  EXPECT_TRUE((*proxy)->strike());
  EXPECT_FALSE((*worker)->source_lost());
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSlotLossTest, AnotherNameForTheSlotIsRefusedAndNoLoss) {
  RunOnce();
  CdcOptions renamed = WithSnapshot();
  renamed.slot = "another";
  const auto worker = CdcWorker::Start(renamed);
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kRefused);
  EXPECT_THAT(worker.error().message(), HasSubstr("was begun with slot \"indoubt\""));
  RunOnce();  // with the old name it goes on
}

TEST_F(CdcSlotLossTest, AnInvalidatedOrMovedSlotIsMadeAnewAtTheNextStart) {
  RunOnce();
  ChangeUnseen();
  Client().Run("SELECT pg_replication_slot_advance('indoubt', pg_current_wal_flush_lsn())");
  {
    const auto worker = CdcWorker::Start(WithSnapshot());
    ASSERT_TRUE(worker) << worker.error().ToString();
    EXPECT_EQ((*worker)->status().last_loss.code(), StatusCode::kCorrupt);
    ExpectEverythingEqualsSource();
  }
  Invalidate();
  ChangeUnseen();
  const auto worker = CdcWorker::Start(WithSnapshot());
  ASSERT_TRUE(worker) << worker.error().ToString();
  EXPECT_EQ((*worker)->status().last_loss.code(), StatusCode::kCorrupt);
  ExpectEverythingEqualsSource();
}

TEST_F(CdcSlotLossTest, KilledWhileItMendsTheLossItMendsItTheNextTime) {
  on_slot_loss_ = "snapshot";
  RunOnce();
  Client().Run("SELECT pg_drop_replication_slot('indoubt')");
  ChangeUnseen();
  for (const char* point :
       {"cdc_snapshot_chunk:1", "cdc_snapshot_chunk:2", "cdc_applied@cache",
        "cdc_applied@rows_cache", "cdc_applied@rows_table", "cdc_applied@rows_search"}) {
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a4', 1)");  // for each to apply
    const auto child = StartChild(std::string(point) + "=kill");
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(30));
    ASSERT_TRUE(ended && ended->by_signal && ended->code == SIGKILL) << point << ChildOutput();
  }
  const auto child = StartChild("");
  ExpectEverythingEqualsSource();
}

}  // namespace
}  // namespace indoubt
