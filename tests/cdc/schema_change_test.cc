// The source's tables change their shape under running views.
#include <gmock/gmock.h>

#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class CdcSchemaChangeTest : public CdcKillFixture {
 protected:
  void Start(SchemaRule rule = SchemaRule::kBackward) {
    worker_.reset();
    CdcOptions options = AllOptions();
    for (ViewOptions& view : options.views) view.schema_rule = rule;
    auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    worker_ = std::move(*worker);
  }
  Status Health(size_t view) const { return worker_->status().views.at(view).health; }
  static constexpr size_t kCache = 0, kTable = 1, kRowsCache = 2, kRowsTable = 3,
                          kRowsSearch = 4;

  /// The views of rows stop with `words`; the sums go on to what is written afterwards.
  void ExpectOnlyRowsStopWith(const std::string& words) {
    for (const size_t view : {kRowsCache, kRowsTable, kRowsSearch}) {
      EXPECT_TRUE(Eventually([&] { return Health(view).code() == StatusCode::kUnsupported; }))
          << Health(view).ToString();
      EXPECT_THAT(Health(view).message(), HasSubstr(words));
    }
    const CdcOptions sums_only = [this] {
      CdcOptions options = AllOptions();
      options.views.resize(2);
      return options;
    }();
    const Status reached =
        WaitForViews(sums_only, SystemClock().Now() + std::chrono::seconds(30));
    EXPECT_TRUE(reached.ok()) << reached.ToString();
    ExpectSumsEqualSource();
    EXPECT_TRUE(Health(kCache).ok() && Health(kTable).ok());
  }

  std::unique_ptr<CdcWorker> worker_;
};

TEST_F(CdcSchemaChangeTest, ARenamedColumnStopsOnlyTheViewsThatNeedItAndIsNamed) {
  Client().Run("ALTER TABLE moves ADD note text");
  Start();
  Client().Run("INSERT INTO moves(item, amount, note) VALUES ('a', 1, 'before')");
  ExpectEverythingEqualsSource();
  const Sums before = SqliteRows(rows_path_, "SELECT id, amount FROM moves");
  // In one batch with what comes before and behind: the view stops exactly there.
  Client().Run("INSERT INTO moves(item, amount, note) VALUES ('a', 2, 'last')");
  Client().Run("ALTER TABLE moves RENAME note TO remark");
  Client().Run("INSERT INTO moves(item, amount, remark) VALUES ('a', 4, 'new')");
  const std::string words =
      "table public.moves: column \"note\", which the view needs, was renamed to \"remark\"";
  ExpectOnlyRowsStopWith(words);
  const Sums stopped = SqliteRows(rows_path_, "SELECT id, amount FROM moves");
  EXPECT_EQ(stopped.size(), before.size() + 1);
  // Nor does the next worker go over it; it, too, says why.
  Start();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('b', 8)");
  ExpectOnlyRowsStopWith(words);
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, amount FROM moves"), stopped);
}

TEST_F(CdcSchemaChangeTest, AColumnAddedBetweenTwoChangesOfOneTransactionFlows) {
  Start();
  Client().Run(
      "BEGIN; INSERT INTO moves(item, amount) VALUES ('a', 1); UPDATE account SET balance = 5 "
      "WHERE id = 1; ALTER TABLE moves ADD note text; INSERT INTO moves(item, amount, note) "
      "VALUES ('a', 2, 'new'); ALTER TABLE moves ADD more int; UPDATE moves SET more = 7; "
      "COMMIT");
  Client().Run("INSERT INTO moves(item, amount, more) VALUES ('b', 4, 8)");
  ExpectEverythingEqualsSource();
  EXPECT_TRUE(worker_->health().ok()) << worker_->health().ToString();
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT note, more FROM moves WHERE amount = 2"),
            (Sums{{"new", 7}}));
}

TEST_F(CdcSchemaChangeTest, AColumnThatTheSumsNeedStopsThem) {
  Start();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  ExpectEverythingEqualsSource();
  Client().Run("ALTER TABLE moves ALTER item TYPE integer USING 7");
  Client().Run("INSERT INTO moves(item, amount) VALUES (8, 2)");
  for (const size_t view : {kCache, kTable, kRowsCache, kRowsTable, kRowsSearch}) {
    EXPECT_TRUE(Eventually([&] { return Health(view).code() == StatusCode::kUnsupported; }));
    EXPECT_THAT(Health(view).message(),
                HasSubstr("column \"item\" was changed from text to integer"));
  }
  EXPECT_TRUE(worker_->status().source_health.ok());
}

TEST_F(CdcSchemaChangeTest, AWiderTypeFlowsBackwardAndStopsUnderTheOtherRules) {
  Client().Run("ALTER TABLE account ALTER balance TYPE integer");
  Client().Run("ALTER TABLE account REPLICA IDENTITY DEFAULT");
  Start();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  ExpectEverythingEqualsSource();
  Client().Run("ALTER TABLE account ALTER balance TYPE bigint");
  Client().Run("UPDATE account SET balance = 5000000000 WHERE id = 1");
  ExpectEverythingEqualsSource();
  Client().Run("ALTER TABLE account ADD note text DEFAULT 'x'");
  Client().Run("UPDATE account SET note = 'y' WHERE id = 2");
  ExpectEverythingEqualsSource();
  EXPECT_TRUE(worker_->health().ok()) << worker_->health().ToString();
  EXPECT_EQ(SqliteOne(rows_path_, "SELECT note FROM account WHERE id = 2"), "y");
  // Three shapes are in the history, each with the position where it began.
  EXPECT_EQ(SqliteOne(event_log_path_, "SELECT count(*) FROM schemas WHERE oid = " +
                                           Client().Run("SELECT 'account'::regclass::oid")),
            "3");
  Start(SchemaRule::kFull);
  Client().Run("ALTER TABLE account ALTER id TYPE integer");
  Client().Run("UPDATE account SET balance = 6 WHERE id = 1");
  ExpectOnlyRowsStopWith("column \"id\" was changed from bigint to integer");
}

}  // namespace
}  // namespace indoubt
