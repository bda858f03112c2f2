// Events name the shapes of their tables, and the log's file has each shape once.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/crc32c.h"
#include "cdc/log/sqlite_event_log_file.h"
#include "tests/cdc/event_log_fixture.h"

namespace indoubt {
namespace {

using cdc_internal::SqliteDatabase;

constexpr uint32_t kTable = 16;

/// The table with a column of this name.
events::Relation Shape(const std::string& column) {
  events::Relation shape;
  shape.set_oid(kTable);
  shape.set_name("item");
  shape.add_columns()->set_name(column);
  return shape;
}

/// One change of the table, with its shape.
events::Transaction At(uint64_t lsn, const std::string& column) {
  events::Transaction transaction;
  transaction.set_commit_end_lsn(lsn);
  *transaction.add_relations() = Shape(column);
  events::Change* change = transaction.add_changes();
  change->set_kind(events::Change::TRUNCATE);
  change->set_relation_oid(kTable);
  return transaction;
}

events::Transaction TwoPhase(events::Transaction transaction,
                             events::Transaction::Phase phase) {
  transaction.set_gid("g");
  transaction.set_phase(phase);
  if (phase != events::Transaction::PREPARED) transaction.clear_changes();
  return transaction;
}

class EventShapesTest : public EventLogFixture {
 protected:
  /// By its number, as the source's stream gives it.
  events::Transaction Named(uint64_t lsn, const std::string& column) {
    events::Transaction transaction = At(lsn, column);
    NameShapes(transaction, log_->shapes());
    return transaction;
  }
  void Sql(const std::string& sql) {
    log_.reset();
    auto db = SqliteDatabase::Open(path_, SqliteDatabase::Mode::kDurableWriter);
    ASSERT_TRUE(db);
    const Status done = (*db)->Execute(sql);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }
  /// An event as a program before version 5 stored it.
  void StoreAsBefore(uint64_t sequence, const events::Transaction& event) {
    log_.reset();
    const std::string payload = event.SerializeAsString();
    auto db = SqliteDatabase::Open(path_, SqliteDatabase::Mode::kDurableWriter);
    ASSERT_TRUE(db);
    auto query = (*db)->Prepare("INSERT INTO events VALUES (?1, ?2, 0, ?3, ?4)");
    ASSERT_TRUE(query);
    query->Bind(1, sequence);
    query->Bind(2, event.commit_end_lsn());
    query->Bind(3, uint64_t{Crc32c(payload)});
    query->BindBlob(4, payload);
    ASSERT_TRUE(query->Run().ok());
  }
  /// The column of each event's shape; "" where it has none.
  static std::vector<std::string> Columns(EventLogReader& reader) {
    std::vector<std::string> columns;
    for (EventPosition after;;) {
      const auto events = reader.Read(after, 100, 1 << 20);
      EXPECT_TRUE(events) << events.error().ToString();
      if (!events || events->empty()) return columns;
      for (const LoggedEvent& event : *events) {
        const auto* shape = FindShape(*event.transaction, event.shapes, kTable);
        columns.push_back(shape == nullptr ? "" : shape->columns(0).name());
      }
      after = events->back().position;
    }
  }
  std::vector<std::string> Columns() {
    const auto reader = log_->NewReader();
    return Columns(**reader);
  }
  uint64_t Count(const std::string& table) {
    auto db = SqliteDatabase::Open(path_, SqliteDatabase::Mode::kReadOnly);
    auto query = (*db)->Prepare("SELECT count(*) FROM " + table);
    EXPECT_TRUE(query->Next());
    return query->U64(0);
  }
};

using Names = std::vector<std::string>;

TEST_F(EventShapesTest, AShapeIsStoredOnceAndFoundAfterAReopening) {
  ASSERT_TRUE(log_->Append({Named(10, "a"), At(20, "a")}).ok());
  ASSERT_TRUE(log_->Append({Named(30, "b"), Named(40, "a")}).ok());
  EXPECT_EQ(Columns(), Names({"a", "a", "b", "a"}));
  EXPECT_EQ(Count("shapes"), 2u);
  EXPECT_EQ(Count("schemas"), 3u) << "the history has each change";
  Reopen();
  EXPECT_EQ(Columns(), Names({"a", "a", "b", "a"}));
  ASSERT_TRUE(log_->Append({Named(50, "a"), Named(60, "c")}).ok());
  EXPECT_EQ(Columns(), Names({"a", "a", "b", "a", "a", "c"}));
  EXPECT_EQ(Count("shapes"), 3u);
}

TEST_F(EventShapesTest, WhatIsInMemoryNamesThemToo) {
  ASSERT_TRUE(log_->Append({At(10, "a")}).ok());
  const auto reader = log_->NewReader();
  const auto recent = (*reader)->Recent({});
  ASSERT_NE(recent, nullptr);
  const LoggedEvent& event = recent->front();
  EXPECT_EQ(event.transaction->relations_size(), 0);
  ASSERT_NE(FindShape(*event.transaction, event.shapes, kTable), nullptr);
}

TEST_F(EventShapesTest, EventsOfAnOlderLogKeepTheirShapesInThem) {
  StoreAsBefore(1, At(10, "a"));
  Sql("UPDATE log SET version = 4, complete = 10; DROP TABLE shapes");
  Reopen();
  EXPECT_EQ(Columns(), Names({"a"}));
  ASSERT_TRUE(log_->Append({Named(20, "a"), Named(30, "b")}).ok());
  EXPECT_EQ(Columns(), Names({"a", "a", "b"}));
}

TEST_F(EventShapesTest, AReaderOfAnotherProcessFindsThem) {
  ASSERT_TRUE(log_->Append({Named(10, "a")}).ok());
  cdc_internal::LogTail tail;
  tail.end = log_->end();
  auto db = SqliteDatabase::Open(path_, SqliteDatabase::Mode::kReadOnly);
  ASSERT_TRUE(db);
  const auto reader = cdc_internal::MakeSqliteEventLogReader(std::move(*db), tail);
  EXPECT_EQ(Columns(*reader), Names({"a"}));
}

TEST_F(EventShapesTest, AStagedTransactionHasItsShapesWhereverItIsCommitted) {
  ASSERT_TRUE(log_->Append({TwoPhase(Named(10, "a"), events::Transaction::PREPARED)}).ok());
  Reopen();
  EXPECT_EQ(Count("shapes"), 0u);
  ASSERT_TRUE(
      log_->Append({TwoPhase(Named(20, "b"), events::Transaction::COMMIT_PREPARED)}).ok());
  EXPECT_EQ(Columns(), Names({"a"}));
}

TEST_F(EventShapesTest, AFailedAppendLeavesNothingOfItsShapes) {
  events::Transaction lost = TwoPhase(At(20, "b"), events::Transaction::COMMIT_PREPARED);
  EXPECT_FALSE(log_->Append({Named(10, "a"), lost}).ok());
  EXPECT_EQ(Count("shapes"), 0u);
  ASSERT_TRUE(log_->Append({Named(10, "a")}).ok());
  EXPECT_EQ(Count("shapes"), 1u);
  Reopen();
  EXPECT_EQ(Columns(), Names({"a"}));
}

TEST_F(EventShapesTest, TheyOutliveTheEventsThatNamedThemFirst) {
  ASSERT_TRUE(log_->Append({Named(10, "a"), Named(20, "a")}).ok());
  const auto more = log_->RemoveOldest({.up_to = {Lsn{10}, 0}, .above_bytes = 0});
  ASSERT_TRUE(more) << more.error().ToString();
  ASSERT_EQ(log_->begin().removed, (EventPosition{Lsn{10}, 0}));
  Reopen();
  const auto reader = log_->NewReader();
  const auto events = (*reader)->Read({Lsn{10}, 0}, 100, 1 << 20);
  ASSERT_TRUE(events && events->size() == 1);
  const LoggedEvent& event = events->front();
  EXPECT_NE(FindShape(*event.transaction, event.shapes, kTable), nullptr);
}

TEST_F(EventShapesTest, AChangedOrMissingShapeIsCorrupt) {
  ASSERT_TRUE(log_->Append({Named(10, "a")}).ok());
  Sql("UPDATE shapes SET shape = x'0810'");
  EXPECT_EQ(OpenSqliteEventLog(path_).error().code(), StatusCode::kCorrupt);
  Sql("DELETE FROM shapes; DELETE FROM schemas");
  Reopen();
  const auto reader = log_->NewReader();
  EXPECT_EQ((*reader)->Read({}, 10, 1000).error().code(), StatusCode::kCorrupt);
}

}  // namespace
}  // namespace indoubt
