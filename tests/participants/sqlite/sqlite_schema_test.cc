// What a schema may hold: each kind is carried out whole, or refused with the reason.
#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class SqliteSchemas : public SqliteGuards {
 protected:
  void Create(const std::string& sql, const std::vector<std::string>& tables) {
    ASSERT_EQ(Ask(path_, sql), "");
    Make(tables);
  }
  /// Prepares and commits; `check` then gives `expected`, and did not before.
  void ExpectCarriedOut(const std::string& work, const std::string& check,
                        const std::string& expected) {
    SCOPED_TRACE(work);
    const std::string before = Ask(path_, check);
    EXPECT_NE(before, expected);
    const Gid gid = NewTestGid();
    const Token token = PrepareYes(gid, work);
    EXPECT_EQ(Ask(path_, check), before);
    ExpectCommits(gid, token);
    EXPECT_EQ(Ask(path_, check), expected);
  }
  void ExpectRefusedByPreflight(const std::string& create, const std::string& table,
                                const std::string& reason) {
    SCOPED_TRACE(create);
    ASSERT_EQ(Ask(path_, create), "");
    Make({"person", table});
    const auto report = participant_->Preflight(TestDeadline());
    ASSERT_TRUE(report) << report.error().ToString();
    ASSERT_EQ(report->problems.size(), 1u);
    EXPECT_THAT(report->problems[0], HasSubstr("table " + table));
    EXPECT_THAT(report->problems[0], HasSubstr(reason));
    const Vote vote = Prepare(NewTestGid(), "UPDATE person SET note = 'x' WHERE id = 1");
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, HasSubstr(reason));
  }
  /// Somebody does `outside` between a branch's work and its vote.
  PrepareReply PrepareAfter(Branch& branch, const std::vector<std::string>& work,
                            const std::string& outside, const std::vector<std::string>& last) {
    for (const std::string& sql : work) {
      EXPECT_TRUE(WorkNow(branch, {{sql, {}, {}}})) << sql;
    }
    EXPECT_EQ(Ask(path_, outside), "");
    std::vector<Statement> statements;
    for (const std::string& sql : last) statements.push_back({sql, {}, {}});
    return PrepareNow(branch, statements);
  }
  void ExpectNoAfter(const std::vector<std::string>& work, const std::string& outside,
                     const std::vector<std::string>& last, const std::string& reason) {
    SCOPED_TRACE(work[0] + "; " + outside);
    auto branch = participant_->Begin(NewTestGid(), TestDeadline());
    const Vote vote = PrepareAfter(*branch, work, outside, last).vote;
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, HasSubstr("foreign key"));
    EXPECT_THAT(vote.reason, HasSubstr(reason));
  }
  void ExpectYesAfter(const std::vector<std::string>& work,
                      const std::vector<std::string>& last) {
    SCOPED_TRACE(work[0]);
    const Gid gid = NewTestGid();
    auto branch = participant_->Begin(gid, TestDeadline());
    const Vote vote = PrepareAfter(*branch, work, "", last).vote;
    ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    ExpectCommits(gid, vote.token);
  }
  void ExpectNo(const std::string& work, const std::string& reason) {
    const Vote vote = Prepare(NewTestGid(), work);
    EXPECT_EQ(vote.kind, VoteKind::kNo) << work;
    EXPECT_THAT(vote.reason, HasSubstr(reason)) << work;
  }
};

TEST_F(SqliteSchemas, WithoutRowidTableWhoseKeyIsNotItsFirstColumns) {
  Create(
      "CREATE TABLE w (x, k1 TEXT, y REAL, k2 INTEGER, PRIMARY KEY (k2, k1)) WITHOUT ROWID;"
      "INSERT INTO w VALUES ('x', 'a', 1.5, 7)",
      {"w"});
  const char* all = "SELECT group_concat(quote(x)||quote(k1)||quote(y)||quote(k2), ' ') FROM w";
  ExpectCarriedOut("UPDATE w SET x = X'00ff', y = 2 WHERE k2 = 7", all, "X'00FF''a'2.07");
  ExpectCarriedOut("UPDATE w SET k1 = 'b' WHERE k2 = 7", all, "X'00FF''b'2.07");
  ExpectCarriedOut("INSERT INTO w VALUES (NULL, 'c', NULL, 8)", all,
                   "X'00FF''b'2.07 NULL'c'NULL8");
  ExpectCarriedOut("DELETE FROM w WHERE k1 = 'b'", all, "NULL'c'NULL8");
  ExpectHeldOff("UPDATE w SET y = 3 WHERE k2 = 8",
                {"UPDATE w SET x = 1 WHERE k1 = 'c'", "DELETE FROM w",
                 "REPLACE INTO w VALUES (1, 'c', 1, 8)"},
                "SELECT y = 3 FROM w WHERE k2 = 8");
}

TEST_F(SqliteSchemas, KeysOfBlobsAndOfSeveralColumnsWithNullsInTheUniqueOnes) {
  Create(
      "CREATE TABLE b (k BLOB PRIMARY KEY NOT NULL, u, v, UNIQUE (u, v));"
      "INSERT INTO b VALUES (X'0001', NULL, 1), (X'0002', NULL, 1)",
      {"b"});
  ExpectCarriedOut(
      "UPDATE b SET v = 2 WHERE k = X'0001'",
      "SELECT group_concat(r) FROM (SELECT hex(k)||quote(u)||v AS r FROM b ORDER BY k)",
      "0001NULL2,0002NULL1");
  // NULLs are never equal, so that nobody is in anybody's way.
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO b VALUES (X'03', NULL, 1)");
  EXPECT_EQ(Ask(path_, "INSERT INTO b VALUES (X'04', NULL, 1)"), "");
  EXPECT_THAT(Ask(path_, "INSERT INTO b VALUES (X'03', NULL, 5)"), HasSubstr("indoubt"));
  ExpectCommits(gid, token);
}

TEST_F(SqliteSchemas, StrictTableKeepsItsTypes) {
  Create("CREATE TABLE s (id INTEGER PRIMARY KEY, r REAL, a ANY, b BLOB) STRICT", {"s"});
  ExpectCarriedOut("INSERT INTO s VALUES (1, 5, '5', X'05')",
                   "SELECT typeof(r)||typeof(a)||typeof(b) FROM s", "realtextblob");
  ExpectNo("INSERT INTO s VALUES (2, 'no number', 1, X'')", "cannot store TEXT value in REAL");
}

TEST_F(SqliteSchemas, AutoincrementNeverGivesACommittedKeyAgain) {
  Create("CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x)", {"a"});
  ExpectCarriedOut("INSERT INTO a (x) VALUES ('one')", "SELECT max(id) FROM a", "1");
  ASSERT_EQ(Ask(path_, "DELETE FROM a"), "");
  ExpectCarriedOut("INSERT INTO a (x) VALUES ('two')", "SELECT max(id) FROM a", "2");
  const Gid first = NewTestGid();
  const Token token = PrepareYes(first, "INSERT INTO a (x) VALUES ('three')");
  ExpectNo("INSERT INTO a (x) VALUES ('four')", first.ToString());
  EXPECT_THAT(Ask(path_, "INSERT INTO a (x) VALUES ('five')"), HasSubstr("indoubt"));
  ExpectCommits(first, token);
  EXPECT_EQ(Ask(path_, "SELECT seq FROM sqlite_sequence WHERE name = 'a'"), "3");
}

TEST_F(SqliteSchemas, UpsertInsertsOrUpdates) {
  const char* all = "SELECT group_concat(id||email||note) FROM person";
  ExpectCarriedOut(
      "INSERT INTO person VALUES (9, 'a@x', 'n') ON CONFLICT (email) DO UPDATE SET "
      "note = excluded.note || 'u'",
      all, "1a@xnu,2b@x");
  ExpectCarriedOut(
      "INSERT INTO person VALUES (9, 'z@x', 'n') ON CONFLICT (email) DO UPDATE SET "
      "note = 'u'",
      all, "1a@xnu,2b@x,9z@xn");
  const PrepareReply reply =
      PrepareNow(*participant_, NewTestGid(),
                 {{"INSERT INTO person VALUES (9, 'q', '') ON CONFLICT DO NOTHING", {}, 0}});
  EXPECT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
}

TEST_F(SqliteSchemas, UniqueIndexOnAPartIsLockedAndOthersOnExpressionsDoNotMatter) {
  Create(
      "CREATE TABLE p (id INTEGER PRIMARY KEY, u, live INTEGER);"
      "CREATE UNIQUE INDEX p_live ON p (u) WHERE live;"
      "CREATE INDEX p_expression ON p (lower(u), id + 1)",
      {"p"});
  ExpectHeldOff("INSERT INTO p VALUES (1, 'A', 1)",
                {"INSERT INTO p VALUES (2, 'A', 1)", "REPLACE INTO p VALUES (3, 'A', 1)"},
                "SELECT count(*) FROM p WHERE u = 'A' AND id = 1");
}

TEST_F(SqliteSchemas, DeferredForeignKeyOfSeveralColumnsIsHeldAndChecked) {
  Create(
      "CREATE TABLE pa (a, b TEXT COLLATE NOCASE, PRIMARY KEY (a, b));"
      "CREATE TABLE ch (id INTEGER PRIMARY KEY, a, b, FOREIGN KEY (a, b) REFERENCES pa (a, b) "
      "DEFERRABLE INITIALLY DEFERRED);"
      "INSERT INTO pa VALUES (1, 'Key')",
      {"pa", "ch"});
  ExpectNo("INSERT INTO ch VALUES (1, 1, 'other')", "deferred foreign key");
  ExpectHeldOff("INSERT INTO ch VALUES (1, 1, 'KEY')",
                {"DELETE FROM pa", "UPDATE pa SET b = 'x'"},
                "SELECT count(*) FROM ch WHERE b = 'KEY'");
  const Gid gid = NewTestGid();
  const PrepareReply both = PrepareNow(*participant_, gid,
                                       {{"INSERT INTO ch VALUES (2, 2, 'late')", {}, 1},
                                        {"INSERT INTO pa VALUES (2, 'late')", {}, 1}});
  ASSERT_EQ(both.vote.kind, VoteKind::kYes) << both.vote.reason;
  ExpectCommits(gid, both.vote.token);
}

TEST_F(SqliteSchemas, DeferredForeignKeyOfEarlierWorkIsCheckedAtTheVote) {
  Create(
      "CREATE TABLE pa (id INTEGER PRIMARY KEY, note);"
      "CREATE TABLE ch (id INTEGER PRIMARY KEY, pa REFERENCES pa DEFERRABLE INITIALLY "
      "DEFERRED);"
      "INSERT INTO pa VALUES (1, ''); INSERT INTO ch VALUES (1, 1), (50, 500)",
      {"pa", "ch"});
  ExpectNoAfter({"INSERT INTO ch VALUES (2, 99)"}, "", {}, "table pa that does not exist");
  ExpectNoAfter({"DELETE FROM pa WHERE id = 1"}, "", {}, "table ch points to a row");
  ExpectNoAfter({"INSERT INTO ch VALUES (2, 99)"}, "",
                {"INSERT INTO ch VALUES (3, 98)", "INSERT INTO pa VALUES (99, '')"},
                "table pa that does not exist");
  ExpectYesAfter({"INSERT INTO ch VALUES (2, 99)"}, {"INSERT INTO pa VALUES (99, '')"});
  ExpectYesAfter({"INSERT INTO ch VALUES (3, 97)"}, {"UPDATE ch SET pa = NULL WHERE id = 3"});
  ExpectYesAfter({"DELETE FROM pa WHERE id = 1"}, {"DELETE FROM ch WHERE id = 1"});
  EXPECT_EQ(Ask(path_, "SELECT group_concat(\"rowid\") FROM pragma_foreign_key_check"), "50")
      << "that which was there before, and was not held against anybody";
}

TEST_F(SqliteSchemas, ForeignKeyThatSomebodyBreaksAfterTheWorkIsANo) {
  Create(
      "CREATE TABLE pa (a, b TEXT COLLATE NOCASE UNIQUE, c INTEGER PRIMARY KEY);"
      "CREATE TABLE ch (id INTEGER PRIMARY KEY, b REFERENCES pa (b) ON DELETE CASCADE, "
      "c REFERENCES pa);"
      "INSERT INTO pa VALUES (1, 'Key', 1), (2, 'x', 2); "
      "INSERT INTO ch VALUES (50, 'none', NULL)",
      {"pa", "ch"});
  const std::string add = "INSERT INTO ch VALUES (1, 'KEY', NULL)";
  const std::string gone = "table ch points to a row of table pa that goes";
  ExpectNoAfter({add}, "DELETE FROM pa WHERE c = 1", {}, "table pa that does not exist");
  Ask(path_, "INSERT INTO pa VALUES (1, 'Key', 1)");
  ExpectNoAfter({"DELETE FROM pa WHERE c = 1"}, add, {}, gone);
  Ask(path_, "DELETE FROM ch WHERE id = 1");
  ExpectNoAfter({"UPDATE pa SET b = 'y' WHERE c = 1"}, add, {}, gone);
  Ask(path_, "DELETE FROM ch WHERE id = 1");
  // The child's column has no type: SQLite takes its '2' for the parent's number.
  ExpectNoAfter({"DELETE FROM pa WHERE c = 2"}, "INSERT INTO ch VALUES (2, NULL, '2')", {},
                gone);
  Ask(path_, "DELETE FROM ch WHERE id = 2");
  ExpectYesAfter({add, "DELETE FROM pa WHERE c = 1"}, {});
  ExpectYesAfter({"DELETE FROM pa WHERE c = 2", "INSERT INTO pa VALUES (2, 'X', 3)"}, {});
  EXPECT_EQ(Ask(path_, "SELECT group_concat(\"rowid\") FROM pragma_foreign_key_check"), "50");
}

TEST_F(SqliteSchemas, TriggersOfTheUserThatRewriteOrRefuseARowActOnce) {
  Create(
      "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m DEFAULT 0);"
      "CREATE TRIGGER t_after AFTER UPDATE OF n ON t BEGIN UPDATE t SET m = m + 1 WHERE id = "
      "NEW.id; END;"
      "CREATE TRIGGER t_skip BEFORE INSERT ON t WHEN NEW.n < 0 BEGIN SELECT RAISE(IGNORE); END;"
      "CREATE TRIGGER t_fail BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'keep it'); END;"
      "INSERT INTO t VALUES (1, 1, 0)",
      {"t"});
  ExpectCarriedOut("UPDATE t SET n = 5 WHERE id = 1", "SELECT n||','||m FROM t", "5,1");
  EXPECT_EQ(Prepare(NewTestGid(), "INSERT INTO t VALUES (2, -1, 0)").kind, VoteKind::kReadOnly);
  ExpectNo("DELETE FROM t", "keep it");
}

TEST_F(SqliteSchemas, WhatCannotBeCapturedOrLockedIsRefusedByPreflight) {
  ExpectRefusedByPreflight("CREATE TABLE g1 (id INTEGER PRIMARY KEY, a, b AS (a + 1) STORED)",
                           "g1", "generated");
  ExpectRefusedByPreflight("CREATE TABLE g2 (id INTEGER PRIMARY KEY, a, b AS (a + 1))", "g2",
                           "generated");
  ExpectRefusedByPreflight(
      "CREATE TABLE e (id INTEGER PRIMARY KEY, a); CREATE UNIQUE INDEX e_u ON e (lower(a))",
      "e", "expression");
  ExpectRefusedByPreflight(
      "CREATE VIEW v AS SELECT * FROM person; CREATE TRIGGER v_i INSTEAD OF INSERT ON v BEGIN "
      "INSERT INTO person VALUES (NEW.id, NEW.email, ''); END",
      "v", "view");
  ExpectRefusedByPreflight("CREATE VIRTUAL TABLE f USING fts5 (body)", "f", "virtual");
}

TEST_F(SqliteSchemas, CheckThatAsksTheConnectionIsRefusedAndADefaultThatDoesIsNot) {
  ExpectRefusedByPreflight(
      "CREATE TABLE c1 (id INTEGER PRIMARY KEY, p /* ( */ CHECK (p = (last_insert_rowid())))",
      "c1", "last_insert_rowid()");
  ExpectRefusedByPreflight(
      "CREATE TABLE c2 (id INTEGER PRIMARY KEY, p, constraint \"CHECK\" check(p > 0 and "
      "[changes] () < 9))",
      "c2", "changes()");
  ExpectRefusedByPreflight(
      "CREATE TABLE c3 (id INTEGER PRIMARY KEY, p, CHECK (abs(p) <> abs(Random ())))", "c3",
      "random()");
  Create(
      "CREATE TABLE d (id INTEGER PRIMARY KEY, -- CHECK (random())\n"
      "changes CHECK (changes <> 'random()' AND length(changes) > 1), r DEFAULT (random()))",
      {"person", "d"});
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report);
  EXPECT_THAT(report->problems, ::testing::IsEmpty());
  ExpectCarriedOut("INSERT INTO d (id, changes) VALUES (1, 'xx')", "SELECT typeof(r) FROM d",
                   "integer");
}

TEST_F(SqliteSchemas, JsonFunctionsAreTablesToReadFrom) {
  Ask(path_, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
  Make({"t"});
  const Gid gid = NewTestGid();
  const Token token =
      PrepareYes(gid, "INSERT INTO t SELECT value, key FROM json_each('[7, 8]')");
  ExpectCommits(gid, token);
  EXPECT_EQ(Ask(path_, "SELECT group_concat(id || '=' || v) FROM t"), "7=0,8=1");
}

TEST_F(SqliteSchemas, ViewsVirtualTablesAndOtherFilesAreNotChangedByABranch) {
  ASSERT_EQ(
      Ask(path_,
          "CREATE VIEW v AS SELECT * FROM person; CREATE TRIGGER v_i INSTEAD OF INSERT ON "
          "v BEGIN INSERT INTO person VALUES (NEW.id, NEW.email, ''); END;"
          "CREATE VIRTUAL TABLE f USING fts5 (body);"
          "CREATE TABLE noted (id INTEGER PRIMARY KEY, body);"
          "CREATE TRIGGER n_i AFTER INSERT ON noted BEGIN INSERT INTO f VALUES (NEW.body); "
          "END"),
      "");
  Make({"person", "noted"});
  ExpectNo("INSERT INTO v VALUES (3, 'c@x', '')", "table v");
  ExpectNo("INSERT INTO f VALUES ('text')", "table f");
  ExpectNo("INSERT INTO noted VALUES (1, 'text')", "table f");
  ExpectNo("ATTACH '" + folder_.path() + "/other.db' AS other", "ATTACH");
  ExpectNo("CREATE TEMP TABLE x (y)", "only SELECT");
  ExpectNo("INSERT INTO indoubt_lock VALUES ('a', 1, 'x', 'g', 'p')", "indoubt_lock");
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM person"), "2");
}

TEST_F(SqliteSchemas, RowsThatChangePlacesUnderAPartialIndexAreCarriedOut) {
  Create(
      "CREATE TABLE seat (id INTEGER PRIMARY KEY, place, taken, note);"
      "CREATE UNIQUE INDEX one_a_place ON seat (place) WHERE taken;"
      "INSERT INTO seat VALUES (1, 7, 1, ''), (2, 7, 0, '')",
      {"seat"});
  const Gid gid = NewTestGid();
  // The row that gets the place is changed first, so that it also comes first at commit.
  const PrepareReply reply = PrepareNow(*participant_, gid,
                                        {{"UPDATE seat SET note = 'next' WHERE id = 2", {}, {}},
                                         {"UPDATE seat SET taken = 0 WHERE id = 1", {}, {}},
                                         {"UPDATE seat SET taken = 1 WHERE id = 2", {}, {}}});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ExpectCommits(gid, reply.vote.token);
  EXPECT_EQ(Ask(path_, "SELECT group_concat(id || ':' || taken || note, ' ') FROM seat"),
            "1:0 2:1next");
}

TEST_F(SqliteSchemas, RowThatWasImportedPastItsCheckIsANoAndNotAFailedCommit) {
  Create(
      "CREATE TABLE part (id INTEGER PRIMARY KEY, n CHECK (n < 1000), note);"
      "PRAGMA ignore_check_constraints = ON; INSERT INTO part VALUES (1, 5000, '')",
      {"part"});
  // SQLite looks at a CHECK only when its columns change; commit writes the whole row.
  ExpectNo("UPDATE part SET note = 'x' WHERE id = 1", "cannot be repeated at commit");
  ExpectCarriedOut("UPDATE part SET n = 5, note = 'x' WHERE id = 1",
                   "SELECT n || note FROM part", "5x");
}

TEST_F(SqliteSchemas, AddedColumnAndDroppedTableInBetweenAreHeuristic) {
  for (const char* change : {"ALTER TABLE pet ADD COLUMN name TEXT DEFAULT 'x'",
                             "DROP TABLE pet", "CREATE UNIQUE INDEX one ON pet (owner)"}) {
    SCOPED_TRACE(change);
    Ask(path_, "DROP TABLE IF EXISTS pet; CREATE TABLE pet (id INTEGER PRIMARY KEY, owner)");
    Make({"pet"});
    const Gid gid = NewTestGid();
    const Token token = PrepareYes(gid, "INSERT INTO pet VALUES (1, 1)");
    ASSERT_EQ(Ask(path_, change), "");
    EXPECT_EQ(CommitNow(*participant_, gid, token).kind, AckKind::kHeuristic);
    EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_lock"), "0");
  }
}

TEST_F(SqliteSchemas, IndexAddedInBetweenDoesNotMatter) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO pet VALUES (1, 1)");
  ASSERT_EQ(Ask(path_, "CREATE INDEX by_owner ON pet (owner)"), "");
  ExpectCommits(gid, token);
}

}  // namespace
}  // namespace indoubt
