// A yes vote keeps against outside writers, and what cannot be kept is a no.
#include "participants/sqlite/sqlite_repair.h"
#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

TEST_F(SqliteGuards, UniqueValueOfAnInsertInDoubtCannotBeTaken) {
  ExpectHeldOff("INSERT INTO person VALUES (3, 'c@x', '')",
                {"INSERT INTO person VALUES (4, 'c@x', '')",
                 "UPDATE person SET email = 'c@x' WHERE id = 1",
                 "REPLACE INTO person VALUES (5, 'c@x', '')"},
                "SELECT count(*) FROM person WHERE id = 3 AND email = 'c@x'");
}

TEST_F(SqliteGuards, RowThatAnUpdateInDoubtChangesCannotBeTouchedByAnyOfItsKeys) {
  ExpectHeldOff("UPDATE person SET note = 'x' WHERE id = 1",
                {"UPDATE person SET note = 'y' WHERE id = 1", "DELETE FROM person WHERE id = 1",
                 "REPLACE INTO person VALUES (9, 'a@x', '')"},
                "SELECT count(*) FROM person WHERE id = 1 AND note = 'x'");
}

TEST_F(SqliteGuards, OldUniqueValueStaysFreeForTheRollback) {
  ExpectHeldOff(
      "UPDATE person SET email = 'z@x' WHERE id = 2",
      {"REPLACE INTO person VALUES (7, 'b@x', '')", "INSERT INTO person VALUES (8, 'z@x', '')"},
      "SELECT count(*) FROM person WHERE id = 2 AND email = 'z@x'");
}

TEST_F(SqliteGuards, ParentOfAChildInDoubtCannotBeDeleted) {
  ExpectHeldOff("INSERT INTO pet VALUES (1, 1)", {"DELETE FROM person WHERE id = 1"},
                "SELECT count(*) FROM pet WHERE owner = 1");
}

TEST_F(SqliteGuards, ChildOfAParentWhoseDeletionIsInDoubtCannotBeInserted) {
  ExpectHeldOff("DELETE FROM person WHERE id = 2", {"INSERT INTO pet VALUES (5, 2)"},
                "SELECT 1 - count(*) FROM person WHERE id = 2");
}

TEST_F(SqliteGuards, TwoBranchesMayReferToOneParent) {
  const Gid first = NewTestGid(), second = NewTestGid();
  const Token one = PrepareYes(first, "INSERT INTO pet VALUES (1, 1)");
  const Token two = PrepareYes(second, "INSERT INTO pet VALUES (2, 1)");
  ExpectCommits(first, one);
  ExpectCommits(second, two);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM pet"), "2");
}

TEST_F(SqliteGuards, AutomaticRowidsOfTwoBranchesDoNotCollide) {
  const Gid first = NewTestGid(), second = NewTestGid();
  const Token token = PrepareYes(first, "INSERT INTO pet (owner) VALUES (1)");
  const Vote vote = Prepare(second, "INSERT INTO pet (owner) VALUES (1)");
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr(first.ToString()));
  ExpectCommits(first, token);
}

TEST_F(SqliteGuards, SchemaChangeInBetweenIsHeuristic) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  ASSERT_EQ(Ask(path_, "ALTER TABLE person DROP COLUMN note"), "");
  const Ack ack = CommitNow(*participant_, gid, token);
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("schema"));
  // Recorded with what could not be applied; nobody is locked out any more.
  EXPECT_THAT(Ask(path_, "SELECT redo FROM indoubt_outcome WHERE outcome = 'heuristic'"),
              HasSubstr("c@x"));
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_branch"), "0");
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_lock"), "0");
  EXPECT_EQ(CommitNow(*participant_, gid, token).kind, AckKind::kHeuristic);
}

TEST_F(SqliteGuards, LostBranchIsHeuristicAndNeverASilentCommit) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  Ask(path_, "DELETE FROM indoubt_branch; DELETE FROM indoubt_lock");
  EXPECT_EQ(CommitNow(*participant_, gid, token).kind, AckKind::kHeuristic);
}

TEST_F(SqliteGuards, WorkThatCannotBeKeptIsANoWithTheReason) {
  Ask(path_, "CREATE TABLE loose (x); CREATE TABLE nullable (k TEXT PRIMARY KEY, v)");
  Make({"person", "pet", "nullable"});
  const std::vector<std::pair<std::string, std::string>> refused{
      {"INSERT INTO nullable VALUES (NULL, 1)", "NULL"},
      {"INSERT INTO loose VALUES (1)", "loose"},
      {"CREATE TABLE t (x)", "only SELECT"},
      {"COMMIT", "only SELECT"},
      {"PRAGMA user_version = 3", "only SELECT"},
      {"ATTACH 'x' AS y", "only SELECT"},
      {"INSERT INTO pet VALUES (1, 99)", "FOREIGN KEY"},
      {"UPDATE person SET note = 'x' WHERE id = 1; DELETE FROM person", "more than one"}};
  for (const auto& [sql, reason] : refused) {
    const Vote vote = Prepare(NewTestGid(), sql);
    EXPECT_EQ(vote.kind, VoteKind::kNo) << sql;
    EXPECT_THAT(vote.reason, HasSubstr(reason)) << sql;
  }
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_branch"), "0");
}

TEST_F(SqliteGuards, AReasonSaysWhichStatementItIsAbout) {
  Make({"person", "pet"});
  const Statement fine{"UPDATE person SET note = 'x' WHERE id = 1", {}, {}};
  const std::vector<Statement> failing{{"SELECT nothing", {}, {}},
                                       {"SELECT ?1", {}, {}},
                                       {"SELECT ?1", {Value{std::vector<Value>{}}}, {}},
                                       {"INSERT INTO pet VALUES (1, 99)", {}, {}},
                                       {"SELECT 1", {}, 2},
                                       {"COMMIT", {}, {}}};
  for (const Statement& statement : failing) {
    const Vote vote = PrepareNow(*participant_, NewTestGid(), {fine, statement}).vote;
    EXPECT_EQ(vote.kind, VoteKind::kNo) << statement.text;
    EXPECT_THAT(vote.reason, ::testing::StartsWith("statement 2: ")) << statement.text;
    auto branch = participant_->Begin(NewTestGid(), TestDeadline());
    ASSERT_TRUE(WorkNow(*branch, {fine}));
    const Vote last = PrepareNow(*branch, {fine, statement}).vote;
    EXPECT_THAT(last.reason, ::testing::StartsWith("statement 3: ")) << statement.text;
  }
}

TEST_F(SqliteGuards, TableWithoutAKeyIsRefusedByPreflight) {
  Ask(path_, "CREATE TABLE loose (x)");
  Make({"person", "pet", "loose", "missing"});
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report);
  ASSERT_FALSE(report->problems.empty());
  for (const char* named : {"loose", "missing"}) {
    EXPECT_THAT(report->problems[0], HasSubstr(named));
  }
}

TEST_F(SqliteGuards, TablesOfAnotherVersionAreLeftAloneUntilItsTransactionsHaveEnded) {
  ASSERT_TRUE(participant_->Preflight(TestDeadline()));  // makes them
  const std::vector<std::pair<std::string, std::string>> others{
      {"indoubt_branch", "gid TEXT PRIMARY KEY, bytes BLOB"},
      {"indoubt_lock", "gid TEXT PRIMARY KEY, row INTEGER"},
      {"indoubt_outcome", "gid TEXT PRIMARY KEY, ended INTEGER"}};
  for (const auto& [table, columns] : others) {
    SCOPED_TRACE(table);
    participant_.reset();
    ASSERT_EQ(
        Ask(path_, fmt::format("BEGIN; DROP TABLE {0}; CREATE TABLE {0}({1}); INSERT INTO "
                               "{0} VALUES ('of an old version', 7); COMMIT",
                               table, columns)),
        "");
    const std::string before = Ask(path_, "SELECT group_concat(sql) FROM sqlite_master");
    Make({"person", "pet"});
    const auto named = ::testing::AllOf(HasSubstr("table " + table), HasSubstr(path_),
                                        HasSubstr("another version of indoubt"),
                                        HasSubstr("finish its transactions first"));
    const auto report = participant_->Preflight(TestDeadline());
    ASSERT_TRUE(report) << report.error().ToString();
    EXPECT_THAT(report->problems, ::testing::ElementsAre(named));
    const Vote vote = Prepare(NewTestGid(), "UPDATE person SET note = 'y' WHERE id = 2");
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, named);
    const auto soon = [] { return TestDeadline(std::chrono::milliseconds(200)); };
    for (const Ack& ack : {StartCommit(*participant_, NewTestGid(), "1", soon()).get(),
                           StartRollback(*participant_, NewTestGid(), "1", soon()).get()}) {
      EXPECT_EQ(ack.kind, AckKind::kRetry) << "of what is in doubt nothing is known";
      EXPECT_THAT(ack.reason, named);
    }
    const auto repaired = RepairSqliteFile({"store", path_, {"person", "pet"}}, TestDeadline());
    ASSERT_FALSE(repaired);
    EXPECT_THAT(repaired.error().message(), named);
    EXPECT_EQ(Ask(path_, "SELECT group_concat(sql) FROM sqlite_master"), before);
    EXPECT_EQ(Ask(path_, "SELECT count(*) FROM " + table + " WHERE gid LIKE 'of an old%'"),
              "1");
    EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 2"), "");

    ASSERT_EQ(Ask(path_, "DELETE FROM " + table), "");  // that version has finished
    const Gid gid = NewTestGid();
    const Token token =
        PrepareYes(gid, "UPDATE person SET note = '" + table + "' WHERE id = 1");
    EXPECT_THAT(Ask(path_, "DELETE FROM person WHERE id = 1"), HasSubstr("indoubt"));
    ExpectCommits(gid, token);
  }
}

TEST_F(SqliteGuards, TriggersOfAnotherVersionAreReplacedAlsoWhileABranchIsInDoubt) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET note = 'x' WHERE id = 1");
  participant_.reset();
  const std::string ours =
      Ask(path_, "SELECT sql FROM sqlite_master WHERE name = 'indoubt_guard_UPDATE_person'");
  ASSERT_EQ(Ask(path_,
                "DROP TRIGGER indoubt_guard_UPDATE_person;"
                "CREATE TRIGGER indoubt_guard_UPDATE_person AFTER UPDATE ON person WHEN 0 "
                "BEGIN SELECT 1; END"),
            "");
  Make({"person", "pet"});
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems, ::testing::IsEmpty());
  EXPECT_EQ(
      Ask(path_, "SELECT sql FROM sqlite_master WHERE name = 'indoubt_guard_UPDATE_person'"),
      ours);
  EXPECT_THAT(Ask(path_, "UPDATE person SET note = 'y' WHERE id = 1"), HasSubstr("indoubt"));
  ExpectCommits(gid, token);
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "x");
}

TEST_F(SqliteGuards, RelativesThatAreNotManagedAreGuardedToo) {
  Make({"pet"});
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO pet VALUES (1, 1)");
  EXPECT_THAT(Ask(path_, "DELETE FROM person WHERE id = 1"), HasSubstr("indoubt"));
  EXPECT_THAT(Ask(path_, "UPDATE person SET id = 9 WHERE id = 1"), HasSubstr("indoubt"));
  EXPECT_THAT(Ask(path_, "REPLACE INTO person VALUES (9, 'a@x', '')"), HasSubstr("indoubt"));
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'free' WHERE id = 1"), "");
  ExpectCommits(gid, token);
}

TEST_F(SqliteGuards, NoConflictClauseOfAnOutsiderGetsPastALock) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET email = 'n@x' WHERE id = 1");
  for (const char* sql :
       {"INSERT OR IGNORE INTO person VALUES (9, 'n@x', '')",
        "INSERT INTO person VALUES (1, 'q', '') ON CONFLICT DO UPDATE SET note = 'q'",
        "UPDATE OR REPLACE person SET email = 'n@x' WHERE id = 2", "DELETE FROM person"}) {
    EXPECT_THAT(Ask(path_, sql), HasSubstr("indoubt")) << sql;
  }
  ExpectCommits(gid, token);
}

TEST_F(SqliteGuards, CollationsAndKeysOfSeveralColumnsAreLockedAsTheIndexSeesThem) {
  Ask(path_,
      "CREATE TABLE pair (a TEXT COLLATE NOCASE, b, n INTEGER, PRIMARY KEY (a, b)) WITHOUT "
      "ROWID;"
      "CREATE TABLE word (id INTEGER PRIMARY KEY, w TEXT COLLATE NOCASE UNIQUE)");
  Make({"pair", "word"});
  const Gid one = NewTestGid(), two = NewTestGid();
  const Token first = PrepareYes(one, "INSERT INTO pair VALUES ('Key', 5, 1)");
  const Token second = PrepareYes(two, "INSERT INTO word VALUES (1, 'Word')");
  EXPECT_THAT(Ask(path_, "INSERT INTO pair VALUES ('KEY', 5.0, 2)"), HasSubstr("indoubt"));
  EXPECT_EQ(Ask(path_, "INSERT INTO pair VALUES ('KEY', 6, 2)"), "");
  EXPECT_THAT(Ask(path_, "INSERT INTO word VALUES (2, 'wORD')"), HasSubstr("indoubt"));
  ExpectCommits(one, first);
  ExpectCommits(two, second);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM pair"), "2");
}

}  // namespace
}  // namespace indoubt
