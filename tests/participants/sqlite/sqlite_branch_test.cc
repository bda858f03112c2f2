// What a branch does between its first statement and its end.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

class SqliteBranches : public SqliteGuards {};

TEST_F(SqliteBranches, InteractiveWorkSeesItsOwnWritesAndHoldsNoLockBetweenCalls) {
  const Gid gid = NewTestGid();
  auto branch = participant_->Begin(gid, TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {{"UPDATE person SET note = 'mine' WHERE id = 1", {}, 1}}));
  EXPECT_EQ(Ask(path_, "UPDATE person SET note = 'free' WHERE id = 2"), "");
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "");
  const auto read =
      WorkNow(*branch, {{"SELECT note FROM person WHERE id = $1", {{int64_t{1}}}, 1}});
  ASSERT_TRUE(read) << read.error().ToString();
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().values[0], (Value{std::vector<Value>{{std::string("mine")}}}));
  const PrepareReply reply = PrepareNow(*branch);
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_EQ(reply.results.size(), 2u);
  ExpectCommits(gid, reply.vote.token);
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "mine");
}

TEST_F(SqliteBranches, EarlierWorkThatSomebodyOverwroteVotesNo) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {{"UPDATE person SET note = 'mine' WHERE id = 1", {}, {}}}));
  ASSERT_EQ(Ask(path_, "UPDATE person SET note = 'theirs' WHERE id = 1"), "");
  const PrepareReply reply = PrepareNow(*branch);
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("does not stand"));
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "theirs");
}

TEST_F(SqliteBranches, OlderWaitsForTheYoungerAndGoesOnAfterIt) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  const Token token = PrepareYes(younger, "UPDATE person SET note = note || 'y' WHERE id = 1");
  auto branch = participant_->Begin(older, TestDeadline());
  auto vote =
      StartPrepare(*branch, {{"UPDATE person SET note = note || 'o' WHERE id = 1", {}, 1}});
  EXPECT_EQ(vote.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  ExpectCommits(younger, token);
  const PrepareReply reply = vote.get();
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ExpectCommits(older, reply.vote.token);
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "yo");
}

TEST_F(SqliteBranches, RollbackEndsAPrepareThatStillWaitsForALock) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  const Token token = PrepareYes(younger, "UPDATE person SET note = 'y' WHERE id = 1");
  auto branch = participant_->Begin(older, TestDeadline());
  auto vote = StartPrepare(*branch, {{"UPDATE person SET note = 'o' WHERE id = 1", {}, 1}});
  EXPECT_EQ(RollbackNow(*participant_, older).kind, AckKind::kDone);
  EXPECT_EQ(vote.get().vote.kind, VoteKind::kNo);
  ExpectCommits(younger, token);
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "y");
}

TEST_F(SqliteBranches, AnotherBranchesTokenCommitsNothing) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET note = 'x' WHERE id = 1");
  EXPECT_EQ(CommitNow(*participant_, gid, "0123456789abcdef").kind, AckKind::kHeuristic);
  EXPECT_EQ(Ask(path_, "SELECT note FROM person WHERE id = 1"), "");
  ExpectCommits(gid, token);
}

TEST_F(SqliteBranches, ForgottenCommitIsNotTakenForARollback) {
  const Gid gid = NewTestGid();
  ExpectCommits(gid, PrepareYes(gid, "UPDATE person SET note = 'x' WHERE id = 1"));
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kHeuristic);
  participant_->Forget(gid);
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_outcome"), "0");
}

TEST_F(SqliteBranches, WhatWasToBeForgottenIsForgottenWhenTheParticipantEndsAtOnce) {
  std::vector<Gid> gids;
  for (int i = 0; i < 8; ++i) {
    gids.push_back(NewTestGid());
    ExpectCommits(gids.back(),
                  PrepareYes(gids.back(), "UPDATE person SET note = note || 'x' WHERE id = 1"));
  }
  ASSERT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_outcome"), "8");
  for (const Gid& gid : gids) participant_->Forget(gid);
  participant_.reset();
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_outcome"), "0");
}

TEST_F(SqliteBranches, CascadesAndTriggersActOnceAndNotAgainAtCommit) {
  Ask(path_,
      "CREATE TABLE parent (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 0);"
      "CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (id) ON UPDATE "
      "CASCADE ON DELETE CASCADE);"
      "CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER);"
      "CREATE TRIGGER count_up AFTER INSERT ON child BEGIN UPDATE tally SET n = n + 1; END;"
      "INSERT INTO parent(id) VALUES (1), (2); INSERT INTO tally VALUES (1, 0);"
      "INSERT INTO child VALUES (1, 1), (2, 1), (3, 2)");
  Make({"parent", "child", "tally"});
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid,
                                        {{"INSERT INTO child VALUES (4, 2)", {}, 1},
                                         {"DELETE FROM parent WHERE id = 1", {}, 1},
                                         {"UPDATE parent SET id = 5 WHERE id = 2", {}, 1}});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ExpectCommits(gid, reply.vote.token);
  EXPECT_EQ(Ask(path_, "SELECT group_concat(id || '>' || p) FROM child"), "3>5,4>5");
  EXPECT_EQ(Ask(path_, "SELECT n FROM tally"), "4");  // 3 rows before, and the branch's one
}

TEST_F(SqliteBranches, TriggerThatWritesWhereNothingIsManagedVotesNo) {
  Ask(path_,
      "CREATE TABLE audit (x); CREATE TRIGGER t AFTER INSERT ON pet BEGIN INSERT INTO audit "
      "VALUES (1); END");
  Make({"person", "pet"});
  const Vote vote = Prepare(NewTestGid(), "INSERT INTO pet VALUES (1, 1)");
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr("audit"));
}

TEST_F(SqliteBranches, RowsMaySwapTheirUniqueValues) {
  const Gid gid = NewTestGid();
  const PrepareReply reply =
      PrepareNow(*participant_, gid,
                 {{"UPDATE person SET email = 'tmp' WHERE id = 1", {}, 1},
                  {"UPDATE person SET email = 'a@x' WHERE id = 2", {}, 1},
                  {"UPDATE person SET email = 'b@x' WHERE id = 1", {}, 1}});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ExpectCommits(gid, reply.vote.token);
  EXPECT_EQ(
      Ask(path_, "SELECT group_concat(email) FROM (SELECT email FROM person ORDER BY id)"),
      "b@x,a@x");
}

TEST_F(SqliteBranches, ReplaceThroughASecondaryUniqueIsCarriedOutWhole) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "REPLACE INTO person VALUES (7, 'a@x', 'new')");
  EXPECT_THAT(Ask(path_, "UPDATE person SET note = 'q' WHERE id = 1"), HasSubstr("indoubt"));
  ExpectCommits(gid, token);
  EXPECT_EQ(Ask(path_, "SELECT group_concat(id) FROM (SELECT id FROM person ORDER BY id)"),
            "2,7");
}

TEST_F(SqliteBranches, RowOlderThanAColumnIsUpdatedByItsRealOldValue) {
  Ask(path_, "ALTER TABLE person ADD COLUMN rank INTEGER NOT NULL DEFAULT 5");
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET note = 'x' WHERE id = 1");
  ExpectCommits(gid, token);
  EXPECT_EQ(Ask(path_, "SELECT note || rank FROM person WHERE id = 1"), "x5");
}

TEST_F(SqliteBranches, EveryKindOfValueComesThroughAndRedoSaysTheSame) {
  Ask(path_, "CREATE TABLE kinds (id INTEGER PRIMARY KEY, a, r REAL, t TEXT, b BLOB, z)");
  Make({"kinds"});
  const std::string text = std::string("it's\nNUL\0here", 13);
  const std::vector<Value> row = {
      {int64_t{1}}, {0.1}, {5.0}, {text}, {Blob{std::string("\0\xff", 2)}}, {std::monostate()}};
  const Statement insert{"INSERT INTO kinds VALUES ($1, $2, $3, $4, $5, $6)", row, 1};
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, {insert});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  const std::string redo = Ask(path_, "SELECT redo FROM indoubt_branch");
  ExpectCommits(gid, reply.vote.token);
  const std::string shown =
      "SELECT quote(a) || quote(r) || hex(t) || quote(b) || typeof(z) || typeof(r) FROM kinds";
  const std::string applied = Ask(path_, shown);
  EXPECT_THAT(applied, HasSubstr("0.1"));
  ASSERT_EQ(Ask(path_, "DELETE FROM kinds"), "");
  ASSERT_EQ(Ask(path_, redo), "");
  EXPECT_EQ(Ask(path_, shown), applied);
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const auto read = WorkNow(*branch, {{"SELECT * FROM kinds", {}, 1}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->front().values[0], (Value{row}));
}

TEST_F(SqliteBranches, AnotherProcessThatHoldsTheFileIsWaitedForUntilTheDeadline) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "UPDATE person SET note = 'x' WHERE id = 1");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const auto soon = [] { return TestDeadline(std::chrono::milliseconds(100)); };
  auto branch = participant_->Begin(NewTestGid(), soon());
  EXPECT_EQ(
      PrepareNow(*branch, {{"UPDATE person SET note = 'y' WHERE id = 2", {}, {}}}).vote.kind,
      VoteKind::kNo);
  EXPECT_EQ(StartCommit(*participant_, gid, token, soon()).get().kind, AckKind::kRetry);
  auto patient = StartCommit(*participant_, gid, token, TestDeadline());
  ASSERT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(patient.get().kind, AckKind::kDone);
  sqlite3_close(other);
}

TEST_F(SqliteBranches, YesVoteSurvivesKillNineOfItsProcess) {
  const Gid gid = NewTestGid();
  participant_.reset();
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    Make({"person", "pet"});
    const Token token = Prepare(gid, "INSERT INTO person VALUES (3, 'c@x', '')").token;
    const bool told = write(pipe_ends[1], token.data(), token.size()) > 0;
    if (told) pause();  // with the file open, until it is killed
    _exit(1);
  }
  close(pipe_ends[1]);
  char token[64];
  const ssize_t size = read(pipe_ends[0], token, sizeof token);
  ASSERT_GT(size, 0) << "the child got no yes";
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(pipe_ends[0]);
  Make({"person", "pet"});
  const auto listed = participant_->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().token, std::string(token, static_cast<size_t>(size)));
  ExpectCommits(gid, listed->front().token);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM person WHERE id = 3"), "1");
}

TEST_F(SqliteBranches, TheShellAloneCanEndABranch) {
  const Gid gid = NewTestGid();
  const Token token = PrepareYes(gid, "INSERT INTO person VALUES (3, 'c@x', '')");
  const auto shell = [&](const std::string& sql) {
    return RunProgram({.argv = {"sqlite3", path_, sql}}, TestDeadline());
  };
  EXPECT_FALSE(shell("INSERT INTO person VALUES (4, 'c@x', '')"));
  const auto redo =
      shell("SELECT redo FROM indoubt_branch WHERE gid = '" + gid.ToString() + "'");
  ASSERT_TRUE(redo) << redo.error().ToString();
  const std::string where = " WHERE gid = '" + gid.ToString() + "';";
  const auto done = shell(
      "BEGIN IMMEDIATE; INSERT INTO indoubt_outcome SELECT gid, participant, 'committed', 'by "
      "hand', NULL FROM indoubt_branch" +
      where + " DELETE FROM indoubt_lock" + where + " DELETE FROM indoubt_branch" + where +
      *redo + "COMMIT;");
  ASSERT_TRUE(done) << done.error().ToString();
  ExpectCommits(gid, token);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM person WHERE id = 3"), "1");
}

TEST_F(SqliteBranches, ManyBranchesAtOnceEachHaveOneEffect) {
  constexpr int kBranches = 300;
  std::vector<std::unique_ptr<Branch>> branches;
  std::vector<std::pair<Gid, std::future<PrepareReply>>> votes;
  for (int i = 0; i < kBranches; ++i) {
    const Gid gid = NewTestGid();
    branches.push_back(participant_->Begin(gid, TestDeadline()));
    votes.emplace_back(gid,
                       StartPrepare(*branches.back(),
                                    {{"INSERT INTO pet VALUES (?1, 1)", {{int64_t{i}}}, 1}}));
  }
  std::vector<std::future<Ack>> acks;
  for (auto& [gid, vote] : votes) {
    const PrepareReply reply = vote.get();
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    acks.push_back(StartCommit(*participant_, gid, reply.vote.token, TestDeadline()));
  }
  for (auto& ack : acks) EXPECT_EQ(ack.get().kind, AckKind::kDone);
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM pet"), std::to_string(kBranches));
  EXPECT_EQ(Ask(path_, "SELECT count(*) FROM indoubt_lock"), "0");
}

}  // namespace
}  // namespace indoubt
