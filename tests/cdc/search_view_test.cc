// A search view under a worker: what its index finds is what the source's rows say.
#include <gmock/gmock.h>

#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class CdcSearchViewTest : public CdcFixture {
 protected:
  void SetUp() override {
    CdcFixture::SetUp();
    if (HasFatalFailure()) return;  // no server
    Client().Run(
        "CREATE TABLE notes(id text PRIMARY KEY, title text, body text, raw bytea, n bigint);"
        "ALTER TABLE notes ALTER body SET STORAGE EXTERNAL");
  }

  void Start(const std::vector<std::string>& columns = {}) {
    worker_.reset();
    options_ = Options();
    options_.tables = {"notes"};
    ViewOptions view;
    view.name = "found";
    view.kind = ViewKind::kSearch;
    view.sink = path_;
    view.derivation = FindDerivation("rows").value_or(Derivation{});
    view.search_columns = columns;
    options_.views = {view};
    auto worker = CdcWorker::Start(options_);
    ASSERT_TRUE(worker) << worker.error().ToString();
    worker_ = std::move(*worker);
  }

  void Source(const std::string& sql) { Client().Run(sql); }
  void AwaitView() const {
    const Status reached =
        WaitForViews(options_, SystemClock().Now() + std::chrono::seconds(30));
    ASSERT_TRUE(reached.ok()) << reached.ToString() << worker_->health().ToString();
  }
  /// The ids of the rows that the index finds, in order.
  std::string Found(const std::string& query) const {
    return SqliteOne(path_,
                     "SELECT coalesce(group_concat(id), '') FROM (SELECT notes.id FROM notes "
                     "JOIN notes_search ON notes_search.rowid = indoubt_docid WHERE "
                     "notes_search MATCH '" +
                         query + "' ORDER BY notes.id)");
  }

  const std::string path_ = folder_.path() + "/found.db";
  CdcOptions options_;
  std::unique_ptr<CdcWorker> worker_;
};

TEST_F(CdcSearchViewTest, FollowsEveryKindOfChange) {
  Source("INSERT INTO notes VALUES ('a', 'early bird', 'snapshot', NULL, 1)");
  Start();
  Source(
      "INSERT INTO notes VALUES ('b', 'late bird', repeat('worm ', 20000), '\\x00ff', 2),"
      "('c', NULL, NULL, NULL, NULL)");
  AwaitView();
  EXPECT_EQ(Found("bird"), "a,b");
  EXPECT_EQ(Found("worm"), "b");
  EXPECT_EQ(Found("title : snapshot"), "");
  EXPECT_EQ(SqliteOne(path_,
                      "SELECT snippet(notes_search, 1, '[', ']', '', 8) FROM "
                      "notes_search WHERE notes_search MATCH 'early' ORDER BY "
                      "bm25(notes_search)"),
            "[early] bird");
  // The large body is not sent with these: it stays, and is still found.
  Source("UPDATE notes SET title = 'late worm' WHERE id = 'b'");
  Source("UPDATE notes SET id = 'd' WHERE id = 'b'");
  AwaitView();
  EXPECT_EQ(Found("bird"), "a");
  EXPECT_EQ(Found("body : worm"), "d");
  EXPECT_EQ(SqliteOne(path_, "SELECT length(body) FROM notes WHERE id = 'd'"), "100000");
  Source("UPDATE notes SET title = NULL WHERE id = 'd'; DELETE FROM notes WHERE id = 'a'");
  AwaitView();
  EXPECT_EQ(Found("early OR snapshot OR late"), "");
  EXPECT_EQ(Found("worm"), "d");
  Source("TRUNCATE notes");
  Source("INSERT INTO notes VALUES ('e', 'after', NULL, NULL, 3)");
  AwaitView();
  EXPECT_EQ(Found("worm OR after"), "e");
}

TEST_F(CdcSearchViewTest, HostileTextIsTextAndNoQuery) {
  Start();
  Source(
      "INSERT INTO notes VALUES ('a', '\" AND ( NEAR * ^ : - '') DROP TABLE notes; --', "
      "repeat('x', 3000000), '\\xdeadbeef00', 0), ('b', '\u00c4pfel \U0001F34E', '', NULL, "
      "0), ('O''Brien \"x\" :%', 'quoted key', NULL, NULL, 0)");
  Source("UPDATE notes SET n = 1");
  Source("DELETE FROM notes WHERE title = 'quoted key'");
  AwaitView();
  EXPECT_EQ(Found("\"drop table notes\""), "a");
  EXPECT_EQ(Found("apfel"), "b");  // unicode61 folds case and diacritics
  EXPECT_EQ(Found("quoted"), "");
  EXPECT_EQ(Found("deadbeef00 OR xdeadbeef00"), "");  // bytes are no words
  EXPECT_EQ(SqliteOne(path_, "SELECT count(*) FROM notes WHERE n = 1"), "2");
}

TEST_F(CdcSearchViewTest, AskedColumnsAreIndexedAndAddedOnesFlow) {
  Start({"notes.title"});
  Source("INSERT INTO notes VALUES ('a', 'title', 'body', NULL, 1)");
  AwaitView();
  EXPECT_EQ(Found("body"), "");
  Source("ALTER TABLE notes ADD extra text");
  Source("INSERT INTO notes VALUES ('b', 'title', 'body', NULL, 1, 'extra')");
  AwaitView();
  EXPECT_EQ(Found("title"), "a,b");
  EXPECT_EQ(SqliteOne(path_, "SELECT extra FROM notes WHERE id = 'b'"), "extra");
  // With other columns asked for, the index is made anew with the next change.
  Start();
  Source("UPDATE notes SET n = 2 WHERE id = 'b'");
  AwaitView();
  EXPECT_EQ(Found("body"), "a,b");
  EXPECT_EQ(Found("extra"), "b");
}

TEST_F(CdcSearchViewTest, AColumnThatIsNotThereStopsTheViewAndIsNamed) {
  Start({"notes.titel"});
  Source("INSERT INTO notes VALUES ('a', 'title', 'body', NULL, 1)");
  EXPECT_TRUE(Eventually([&] { return worker_->health().code() == StatusCode::kRefused; }));
  EXPECT_THAT(worker_->health().message(),
              HasSubstr("column \"titel\" of table notes cannot be searched"));
  EXPECT_EQ(worker_->status().views.at(0).parked, 0u);
}

TEST_F(CdcSearchViewTest, ADerivationWhoseTablesFollowNothingIsRefused) {
  ViewOptions view = Options().views.at(1);  // the sums
  view.kind = ViewKind::kSearch;
  CdcOptions options = Options();
  options.views = {view};
  const auto worker = CdcWorker::Start(options);
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(worker.error().message(), HasSubstr("whose tables follow the source's"));
}

}  // namespace
}  // namespace indoubt
