// Tables at the source that the stream, or SQLite, would have a view hold differently: each is
// followed as it is, or refused with the reason.
#include <gmock/gmock.h>
#include <sqlite3.h>

#include "tests/cdc/fixture.h"
#include "tests/cdc/sums_derivation.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CdcSourceTables : public CdcFixture {
 protected:
  CdcOptions Rows(const std::string& tables) const {
    CdcOptions options = Options();
    options.tables = {tables};
    options.views = {RowsViews(redis_->uri(), path_).at(1)};
    return options;
  }
  /// The worker's refusal to begin, or whatever its view says.
  static std::string Refusal(const CdcOptions& options) {
    const auto worker = CdcWorker::Start(options);
    if (!worker) return worker.error().ToString();
    std::string said;
    EXPECT_TRUE(Eventually([&] {
      said = (*worker)->status().views.at(0).health.ToString();
      return !(*worker)->status().views.at(0).health.ok() && said.find("opened") == said.npos;
    }));
    return said;
  }
  /// Begins, has `changes` run at the source, and waits for the view.
  void Follow(const CdcOptions& options, const std::string& changes = "SELECT 1") {
    const auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    Client().Run(changes);
    const Status reached = WaitForViews(options, SystemClock().Now() + std::chrono::minutes(1));
    ASSERT_TRUE(reached.ok()) << reached.ToString();
  }
  std::string ViewOne(const std::string& sql) const { return SqliteOne(path_, sql); }

  const std::string path_ = folder_.path() + "/rows.db";
};

TEST_F(CdcSourceTables, RowsThatAPolicyHidesAreAnErrorAndNotMissing) {
  Client().Run(
      "CREATE TABLE secret(id int PRIMARY KEY, note text); INSERT INTO secret VALUES (1, "
      "'seen'), "
      "(2, 'hidden'); CREATE ROLE app LOGIN REPLICATION; ALTER TABLE secret OWNER TO app; "
      "GRANT CREATE ON DATABASE postgres TO app; GRANT CREATE ON SCHEMA public TO app; "
      "ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL "
      "SECURITY; "
      "CREATE POLICY seen ON secret USING (note = 'seen')");
  CdcOptions options = Rows("secret");
  options.source_dsn += " user=app";
  EXPECT_THAT(Refusal(options), HasSubstr("row-level security policy for table \"secret\""));
  Client().Run("ALTER ROLE app BYPASSRLS");
  Follow(options);
  EXPECT_EQ(ViewOne("SELECT count(*) FROM secret"), "2");
}

TEST_F(CdcSourceTables, AKeyWithAGeneratedColumnIsRefused) {
  Client().Run(
      "CREATE TABLE folk(tenant int, name text, low text GENERATED ALWAYS AS (lower(name)) "
      "STORED, PRIMARY KEY(tenant, low))");
  EXPECT_THAT(Refusal(Rows("folk")), AllOf(HasSubstr("\"folk\""), HasSubstr("\"low\"")));
  Client().Run("ALTER TABLE folk REPLICA IDENTITY FULL");
  Follow(Rows("folk"), "INSERT INTO folk VALUES (1, 'A'), (1, 'B')");
  EXPECT_EQ(ViewOne("SELECT group_concat(name) FROM folk"), "A,B");
}

TEST_F(CdcSourceTables, ColumnsThatAKeyOnlyIncludesAreNotOfTheKey) {
  Client().Run(
      "CREATE TABLE k(id int, note text, v int, PRIMARY KEY(id) INCLUDE (note)); "
      "INSERT INTO k VALUES (1, 'A', 5)");
  Follow(Rows("k"), "UPDATE k SET v = 6, note = 'q' WHERE id = 1");
  EXPECT_EQ(ViewOne("SELECT group_concat(id || note || v) FROM k"), "1q6");
}

TEST_F(CdcSourceTables, ADeferrableKeyIsRefusedForItsUpdatesWouldFail) {
  Client().Run("CREATE TABLE late(id int PRIMARY KEY DEFERRABLE, v int)");
  EXPECT_THAT(Refusal(Rows("late")), HasSubstr("not deferrable"));
  Client().Run("INSERT INTO late VALUES (1, 1); UPDATE late SET v = 2");
}

TEST_F(CdcSourceTables, ATableWithChildrenIsFollowedWithoutThem) {
  Client().Run(
      "CREATE TABLE parent(id int PRIMARY KEY); CREATE TABLE child(extra int) INHERITS "
      "(parent); "
      "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 2)");
  Follow(Rows("parent"), "INSERT INTO parent VALUES (3); INSERT INTO child VALUES (4, 4)");
  EXPECT_EQ(ViewOne("SELECT group_concat(id) FROM parent"), "1,3");
  EXPECT_EQ(Client().Run("SELECT string_agg(tablename, ',') FROM pg_publication_tables"),
            "parent");
}

TEST_F(CdcSourceTables, ANullThatIsTheWholeRowStaysOne) {
  Client().Run(
      "CREATE TABLE one(id int); ALTER TABLE one REPLICA IDENTITY FULL; "
      "INSERT INTO one VALUES (1), (NULL), (7)");
  Follow(Rows("one"), "INSERT INTO one VALUES (9); DELETE FROM one WHERE id = 1");
  EXPECT_EQ(ViewOne("SELECT group_concat(coalesce(id, 'NULL')) FROM (SELECT id FROM one "
                    "ORDER BY id)"),
            "NULL,7,9");
}

TEST_F(CdcSourceTables, FloatsAreTheSameToTheLastBit) {
  // SQLite 3.40 reads the first two as one number.
  const std::string numbers =
      "('1.1493914778300023e-306'), ('1.1493914778300022e-306'), ('NaN'), ('Infinity'), "
      "('0.1'), ('1e308'), ('5e-324')";
  Client().Run("CREATE TABLE f(x float8 PRIMARY KEY, n int); INSERT INTO f(x) VALUES " +
               numbers);
  Follow(Rows("f"), "UPDATE f SET n = 1");
  EXPECT_EQ(ViewOne("SELECT count(*) FROM f WHERE n = 1"), "7");
  EXPECT_EQ(ViewOne("SELECT group_concat(x, ' ') FROM (SELECT printf('%!.17g', x) AS x FROM f "
                    "WHERE typeof(x) = 'real' AND x < 1e-300 AND x > 1e-320 ORDER BY f.x)"),
            "1.1493914778300022e-306 1.1493914778300023e-306");
}

TEST_F(CdcSourceTables, AColonInATablesNameIsNoneBetweenPartsOfAKey) {
  Client().Run(
      "CREATE TABLE \"a:b\"(id text PRIMARY KEY); INSERT INTO \"a:b\" VALUES ('c'); "
      "CREATE TABLE a(x text, y text, PRIMARY KEY(x, y)); INSERT INTO a VALUES ('b', 'c')");
  CdcOptions options = Rows("\"a:b\"");
  options.tables.emplace_back("a");
  options.views = {RowsViews(redis_->uri(), path_).at(0)};
  Follow(options);
  EXPECT_EQ(RedisOne(redis_->socket_path(), {"HGET", "a%3Ab:c", "id"}), "c");
  EXPECT_EQ(RedisOne(redis_->socket_path(), {"HGET", "a:b:c", "y"}), "c");
}

TEST_F(CdcSourceTables, AnUnloggedTableIsRefused) {
  Client().Run("CREATE UNLOGGED TABLE quick(id int PRIMARY KEY)");
  EXPECT_THAT(Refusal(Rows("quick")), HasSubstr("SET LOGGED"));
}

TEST_F(CdcSourceTables, ATableThatTheViewHasNotMadeIsNotTaken) {
  const std::string mine =
      "CREATE TABLE ORDERS(id INTEGER PRIMARY KEY, note); INSERT INTO ORDERS VALUES (1, "
      "'mine')";
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, mine.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  Client().Run(
      "CREATE TABLE orders(id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'x')");
  EXPECT_THAT(Refusal(Rows("orders")), AllOf(HasSubstr("has a table orders that this view has "
                                                       "not made"),
                                             HasSubstr("a file of its own")));
  EXPECT_EQ(ViewOne("SELECT note FROM orders"), "mine");
}

TEST_F(CdcSourceTables, TwoViewsDoNotShareATable) {
  Client().Run(
      "CREATE TABLE orders(id int PRIMARY KEY, note text); INSERT INTO orders VALUES (1, 'x')");
  CdcOptions options = Rows("orders");
  Follow(options);
  options.views.push_back(options.views.front());
  options.views.back().name = "second";
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  const std::string first = options.views.front().name;
  EXPECT_TRUE(Eventually([&] {
    return (*worker)->status().views.at(1).health.message().find(
               "that view " + first + " has made") != std::string::npos;
  })) << (*worker)->status().views.at(1).health.ToString();
  EXPECT_TRUE(Eventually([&] { return (*worker)->status().views.at(0).health.ok(); }));
}

TEST_F(CdcSourceTables, NamesThatDifferInCaseOnlyAreRefused) {
  CdcOptions options = Rows("orders");
  options.tables.emplace_back("public.\"Orders\"");
  Client().Run(
      "CREATE TABLE orders(id int PRIMARY KEY); CREATE TABLE \"Orders\"(id int PRIMARY "
      "KEY)");
  EXPECT_THAT(Refusal(options), HasSubstr("two tables are named Orders"));
}

}  // namespace
}  // namespace indoubt
