#include "cdc/log/sqlite_event_log.h"

#include <thread>

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "faults/process.h"

namespace indoubt {
namespace {

events::Transaction At(uint64_t lsn, uint32_t xid = 0) {
  events::Transaction transaction;
  transaction.set_commit_end_lsn(lsn);
  transaction.set_xid(xid);
  return transaction;
}

events::SnapshotProgress Progress(uint64_t lsn, uint64_t chunks) {
  events::SnapshotProgress progress;
  progress.set_lsn(lsn);
  progress.set_next_ordinal(chunks);
  return progress;
}

class SqliteEventLogTest : public testing::Test {
 protected:
  std::unique_ptr<EventLog> Open() {
    auto log = OpenSqliteEventLog(path_);
    EXPECT_TRUE(log) << log.error().ToString();
    return std::move(*log);
  }
  std::unique_ptr<EventLog> OpenStreaming(uint64_t lsn) {
    auto log = Open();
    EXPECT_TRUE(log->BeginSnapshot("slot").ok());
    EXPECT_TRUE(log->FinishSnapshot(Progress(lsn, 0)).ok());
    return log;
  }
  /// Of all events after a position.
  static std::vector<uint32_t> Xids(const EventLog& log, EventPosition after = {}) {
    auto reader = log.NewReader();
    EXPECT_TRUE(reader);
    std::vector<uint32_t> xids;
    for (;;) {
      const auto events = (*reader)->Read(after, 100, 1 << 20);
      EXPECT_TRUE(events) << events.error().ToString();
      if (!events || events->empty()) return xids;
      for (const LoggedEvent& event : *events) xids.push_back(event.transaction->xid());
      after = events->back().position;
    }
  }
  /// How many one Read from the beginning gives.
  static size_t OneRead(const EventLog& log, size_t max_events, size_t max_bytes) {
    auto reader = log.NewReader();
    EXPECT_TRUE(reader);
    const auto events = (*reader)->Read({}, max_events, max_bytes);
    EXPECT_TRUE(events) << events.error().ToString();
    return events ? events->size() : 0;
  }

  ScratchFolder folder_{"indoubt-event-log"};
  std::string path_ = folder_.path() + "/events.db";
};

events::Transaction TwoPhase(uint64_t lsn, const std::string& gid,
                             events::Transaction::Phase phase) {
  events::Transaction transaction = At(lsn);
  transaction.set_gid(gid);
  transaction.set_phase(phase);
  if (phase == events::Transaction::PREPARED) {
    transaction.add_changes();
    transaction.set_xid(static_cast<uint32_t>(lsn));
  }
  return transaction;
}

events::Transaction Part(uint64_t commit_lsn, uint32_t part) {
  events::Transaction transaction = At(commit_lsn, 1000 + part);
  transaction.set_part(part);
  return transaction;
}

TEST_F(SqliteEventLogTest, PartsAreReadOnceTheirTransactionIsComplete) {
  const auto log = OpenStreaming(10);
  // Its commit record begins where the last one ends, as it may.
  ASSERT_TRUE(log->Append({At(20, 2), Part(20, 1), Part(20, 2)}).ok());
  EXPECT_EQ(Xids(*log), std::vector<uint32_t>({2}));
  EXPECT_EQ(log->end().complete, Lsn{20});
  ASSERT_TRUE(log->Append({Part(20, 3)}).ok());
  ASSERT_TRUE(log->Append({At(30, 3), At(40, 4)}).ok());
  EXPECT_EQ(Xids(*log), std::vector<uint32_t>({2, 1001, 1002, 1003, 3, 4}));
  EXPECT_EQ(Xids(*log, {Lsn{20}, 0}), std::vector<uint32_t>({1001, 1002, 1003, 3, 4}));
  EXPECT_EQ(Xids(*log, {Lsn{30}, 0}), std::vector<uint32_t>({4}));
  // Sent again, nothing changes.
  ASSERT_TRUE(log->Append({Part(20, 1), Part(20, 2), Part(20, 3), At(30, 3)}).ok());
  EXPECT_EQ(log->end().last_sequence, 6u);
  EXPECT_EQ(Xids(*log).size(), 6u);
}

TEST_F(SqliteEventLogTest, WhatWasAppendedLastIsInMemoryAsItIsInTheFile) {
  const auto log = OpenStreaming(10);
  ASSERT_TRUE(log->Append({At(20, 2), At(30, 3)}).ok());
  const auto reader = log->NewReader();
  const auto recent = (*reader)->Recent({Lsn{10}, 0});
  ASSERT_NE(recent, nullptr);
  ASSERT_TRUE(log->Append({At(40, 4)}).ok());
  // From the file as far as the next batch begins in memory, with which a view goes on.
  const auto read = (*reader)->Read({Lsn{10}, 0}, 100, 1 << 20);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), recent->size());
  for (size_t i = 0; i < read->size(); ++i) {
    EXPECT_EQ((*recent)[i].position, (*read)[i].position);
    EXPECT_EQ((*recent)[i].sequence, (*read)[i].sequence);
    EXPECT_EQ((*recent)[i].transaction->xid(), (*read)[i].transaction->xid());
  }
  EXPECT_EQ((*reader)->Recent({Lsn{30}, 0})->front().transaction->xid(), 4u);
  // A large transaction is whole in the file only.
  ASSERT_TRUE(log->Append({Part(50, 1)}).ok());
  ASSERT_TRUE(log->Append({At(60, 6)}).ok());
  EXPECT_EQ((*reader)->Recent({Lsn{40}, 0}), nullptr);
  ASSERT_TRUE(log->Append({At(70, 7)}).ok());
  EXPECT_EQ((*reader)->Recent({Lsn{60}, 0})->front().transaction->xid(), 7u);
}

TEST_F(SqliteEventLogTest, PartsWithoutTheirLastAreGoneAfterARestartOrWhenToldSo) {
  {
    const auto log = OpenStreaming(10);
    ASSERT_TRUE(log->Append({At(20, 2), Part(20, 1)}).ok());
  }
  const auto log = Open();
  EXPECT_EQ(log->end().last_sequence, 1u);
  ASSERT_TRUE(log->Append({Part(20, 1), Part(20, 2)}).ok());
  ASSERT_TRUE(log->DropParts().ok());
  ASSERT_TRUE(log->Append({Part(20, 1), At(30, 3)}).ok());
  EXPECT_EQ(Xids(*log), std::vector<uint32_t>({2, 1001, 3}));
  EXPECT_EQ(log->end(), (LogEnd{{Lsn{30}, 0}, 3, Lsn{30}, 0}));
}

TEST_F(SqliteEventLogTest, APreparedTransactionBecomesAnEventAtItsCommitOrNever) {
  using events::Transaction;
  {
    const auto log = OpenStreaming(10);
    ASSERT_TRUE(log->Append({TwoPhase(20, "a", Transaction::PREPARED),
                             TwoPhase(30, "b", Transaction::PREPARED), At(40, 4)})
                    .ok());
    EXPECT_EQ(Xids(*log), std::vector<uint32_t>({4}));
    EXPECT_EQ(log->end().staged, 2u);
  }
  const auto log = Open();
  EXPECT_EQ(log->end().staged, 2u);
  const std::vector<HeldTransaction> ends = {TwoPhase(50, "b", Transaction::ROLLBACK_PREPARED),
                                             TwoPhase(60, "a", Transaction::COMMIT_PREPARED),
                                             TwoPhase(70, "a", Transaction::PREPARED)};
  for (int sent = 0; sent < 2; ++sent) {  // what is sent again changes nothing
    ASSERT_TRUE(log->Append(ends).ok());
    EXPECT_EQ(Xids(*log), std::vector<uint32_t>({4, 20}));
    EXPECT_EQ(log->end(), (LogEnd{{Lsn{60}, 0}, 2, Lsn{70}, 1}));
  }
  const auto reader = log->NewReader();
  const auto events = (*reader)->Read({Lsn{40}, 0}, 10, 1 << 20);
  ASSERT_TRUE(events);
  EXPECT_EQ(events->at(0).transaction->gid(), "a");
  EXPECT_EQ(events->at(0).transaction->commit_end_lsn(), 60u);
  EXPECT_EQ(events->at(0).transaction->phase(), Transaction::COMMITTED);
}

TEST_F(SqliteEventLogTest, ACommitWhosePrepareNeverCameIsCorruptAndNothingIsAppended) {
  const auto log = OpenStreaming(10);
  const Status status =
      log->Append({At(20, 1), TwoPhase(30, "lost", events::Transaction::COMMIT_PREPARED)});
  EXPECT_EQ(status.code(), StatusCode::kCorrupt);
  EXPECT_NE(status.message().find("\"lost\""), std::string::npos) << status.ToString();
  EXPECT_TRUE(Xids(*log).empty());
  EXPECT_EQ(log->end().complete, Lsn{10});
}

TEST_F(SqliteEventLogTest, ALogOfVersionOneIsReadOnAndALaterOneRefused) {
  {
    const auto log = OpenStreaming(10);
    ASSERT_TRUE(log->Append({At(20, 1)}).ok());
  }
  const auto change = [&](const char* sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(db);
  };
  change("UPDATE log SET version = 1; DROP TABLE staged; DROP TABLE outcomes");
  {
    const auto log = Open();
    EXPECT_EQ(Xids(*log), std::vector<uint32_t>({1}));
    EXPECT_TRUE(log->Append({TwoPhase(30, "a", events::Transaction::PREPARED)}).ok());
  }
  change("UPDATE log SET version = 6");
  const auto later = OpenSqliteEventLog(path_);
  ASSERT_FALSE(later);
  EXPECT_NE(later.error().message().find("version 6"), std::string::npos);
}

TEST_F(SqliteEventLogTest, KeepsWhatWasAppendedOverAReopening) {
  std::string id;
  {
    const auto log = OpenStreaming(10);
    id = log->id();
    ASSERT_TRUE(log->Append({At(20, 1), At(30, 2)}).ok());
  }
  const auto log = Open();
  EXPECT_EQ(log->id(), id);
  EXPECT_EQ(log->state(), EventLogState::kStreaming);
  EXPECT_EQ(log->slot(), "slot");
  EXPECT_EQ(log->end(), (LogEnd{{Lsn{30}, 0}, 2, Lsn{30}}));
  EXPECT_EQ(Xids(*log), (std::vector<uint32_t>{1, 2}));
}

TEST_F(SqliteEventLogTest, IsMadeForItsOwnerOnly) {
  const mode_t before = umask(022);
  const auto log = OpenStreaming(10);
  umask(before);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat found {};
    ASSERT_EQ(stat((path_ + suffix).c_str(), &found), 0) << suffix;
    EXPECT_EQ(found.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteEventLogTest, SkipsWhatItHasAlready) {
  const auto log = OpenStreaming(10);
  ASSERT_TRUE(log->Append({At(20, 1)}).ok());
  ASSERT_TRUE(log->Append({At(10, 9), At(20, 1), At(30, 2)}).ok());
  EXPECT_EQ(Xids(*log), (std::vector<uint32_t>{1, 2}));
}

TEST_F(SqliteEventLogTest, AnUnfinishedSnapshotIsInvisibleAndDiscarded) {
  {
    const auto log = Open();
    ASSERT_TRUE(log->BeginSnapshot("slot").ok());
    ASSERT_TRUE(log->AppendSnapshotChunk(At(10, 1), Progress(10, 1)).ok());
    EXPECT_TRUE(Xids(*log).empty());
  }
  const auto log = Open();
  EXPECT_EQ(log->state(), EventLogState::kSnapshot);
  EXPECT_TRUE(Xids(*log).empty());
  ASSERT_TRUE(log->BeginSnapshot("slot").ok());
  ASSERT_TRUE(log->AppendSnapshotChunk(At(12, 2), Progress(12, 1)).ok());
  ASSERT_TRUE(log->AppendSnapshotChunk(At(12, 3), Progress(12, 2)).ok());
  ASSERT_TRUE(log->FinishSnapshot(Progress(12, 2)).ok());
  ASSERT_TRUE(log->Append({At(20, 4)}).ok());
  EXPECT_EQ(Xids(*log), (std::vector<uint32_t>{2, 3, 4}));
  EXPECT_EQ(Xids(*log, {Lsn{12}, 0}), (std::vector<uint32_t>{3, 4}));
}

TEST_F(SqliteEventLogTest, TheProgressOfASnapshotIsKeptWithItsChunksAndTakesChunksBack) {
  {
    const auto log = Open();
    ASSERT_TRUE(log->BeginSnapshot("slot").ok());
    const auto none = log->ReadSnapshotProgress();
    ASSERT_TRUE(none && !*none);
    for (uint32_t chunk = 1; chunk <= 3; ++chunk) {
      ASSERT_TRUE(log->AppendSnapshotChunk(At(10, chunk), Progress(10, chunk)).ok());
    }
  }
  const auto log = Open();
  const auto kept = log->ReadSnapshotProgress();
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ((*kept)->next_ordinal(), 3u);
  ASSERT_TRUE(log->SaveSnapshotProgress(Progress(10, 1)).ok());
  ASSERT_TRUE(log->AppendSnapshotChunk(At(10, 4), Progress(10, 2)).ok());
  ASSERT_TRUE(log->FinishSnapshot(Progress(10, 2)).ok());
  EXPECT_EQ(Xids(*log), (std::vector<uint32_t>{1, 4}));
}

TEST_F(SqliteEventLogTest, ReadsNoMoreThanAskedButAlwaysOne) {
  const auto log = OpenStreaming(1);
  ASSERT_TRUE(log->Append({At(2, 1), At(3, 2), At(4, 3)}).ok());
  EXPECT_EQ(OneRead(*log, 2, 1 << 20), 2u);
  EXPECT_EQ(OneRead(*log, 100, 1), 1u);
}

TEST_F(SqliteEventLogTest, AdvancesWithoutEventsAndNeverBack) {
  {
    const auto log = OpenStreaming(10);
    ASSERT_TRUE(log->Advance(Lsn{50}).ok());
    ASSERT_TRUE(log->Advance(Lsn{40}).ok());
  }
  EXPECT_EQ(Open()->end().complete, Lsn{50});
}

TEST_F(SqliteEventLogTest, AnAppendWakesAWaitingReader) {
  const auto log = OpenStreaming(10);
  std::thread appender([&] { ASSERT_TRUE(log->Append({At(20)}).ok()); });
  const LogEnd end = log->WaitBeyond({Lsn{10}, 0}, SystemClock().Now() + std::chrono::hours(1));
  EXPECT_EQ(end.last.lsn, Lsn{20});
  appender.join();
}

TEST_F(SqliteEventLogTest, ASecondOpenerIsLockedOut) {
  const auto log = Open();
  const auto second = OpenSqliteEventLog(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), StatusCode::kLocked);
}

TEST_F(SqliteEventLogTest, AChangedPayloadIsCorrupt) {
  const auto log = OpenStreaming(10);
  ASSERT_TRUE(log->Append({At(20, 1)}).ok());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "UPDATE events SET payload = x'00'", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
  auto reader = log->NewReader();
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->Read({}, 10, 1000).error().code(), StatusCode::kCorrupt);
}

}  // namespace
}  // namespace indoubt
