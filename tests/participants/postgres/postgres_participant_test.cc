// What only PostgreSQL can do to a branch.
#include "participants/postgres/postgres_participant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

Statement Sql(std::string text, std::vector<Value> params = {}) {
  return {.text = std::move(text), .params = std::move(params), .expect_rows = {}};
}

class PostgresParticipantTest : public PostgresFixture {
 protected:
  std::string BranchName(const Gid& gid) { return BranchId{gid, "store"}.ToString(); }
  Token Vote(const Gid& gid) {
    const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("a", 5)});
    EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    return reply.vote.token;
  }
  PrepareReply PrepareSql(std::vector<std::string> texts) {
    std::vector<Statement> statements;
    statements.reserve(texts.size());
    for (std::string& text : texts) statements.push_back(Sql(std::move(text)));
    return PrepareNow(*participant_, NewTestGid(), std::move(statements));
  }
};

TEST_F(PostgresParticipantTest, PreflightNamesTheVersion) {
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_EQ(report->version, "PostgreSQL " + store_->server().version());
}

TEST_F(PostgresParticipantTest, CommitFindsWhatAnAdministratorCommitted) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ASSERT_EQ(store_->Psql("COMMIT PREPARED '" + BranchName(gid) + "'"), "COMMIT PREPARED");
  EXPECT_EQ(CommitNow(*participant_, gid, token).kind, AckKind::kDone);
  const Ack rolled_back = RollbackNow(*participant_, gid, token);
  EXPECT_EQ(rolled_back.kind, AckKind::kHeuristic);
  EXPECT_THAT(rolled_back.reason, HasSubstr(token));
}

TEST_F(PostgresParticipantTest, CommitOfWhatAnAdministratorRolledBackIsHeuristic) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ASSERT_EQ(store_->Psql("ROLLBACK PREPARED '" + BranchName(gid) + "'"), "ROLLBACK PREPARED");
  const Ack ack = CommitNow(*participant_, gid, token);
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("rolled back by somebody else"));
  EXPECT_EQ(RollbackNow(*participant_, gid, token).kind, AckKind::kDone);
}

TEST_F(PostgresParticipantTest, TokenOfTheFutureIsHeuristic) {
  const Ack ack = CommitNow(*participant_, NewTestGid(), "4000000000000");
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason, HasSubstr("future"));
}

TEST_F(PostgresParticipantTest, ListedTokenIsTheVotes) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  const auto listed = participant_->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().token, token);
}

TEST_F(PostgresParticipantTest, DeferredConstraintVotesNo) {
  store_->Psql("DROP TABLE IF EXISTS child");
  store_->Psql("CREATE TABLE child (name text REFERENCES held DEFERRABLE INITIALLY DEFERRED)");
  const PrepareReply reply = PrepareSql({"INSERT INTO child VALUES ('nobody')"});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("child_name_fkey"));
  store_->Psql("DROP TABLE child");
}

TEST_F(PostgresParticipantTest, TransactionControlInAStatementVotesNo) {
  const PrepareReply reply =
      PrepareSql({"UPDATE held SET amount = 0", "/* hidden */ ; COMMIT"});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("COMMIT"));
  EXPECT_EQ(PrepareSql({"UPDATE held SET amount = 0; COMMIT"}).vote.kind, VoteKind::kNo);
  EXPECT_EQ(store_->Look("a"), 100);
}

TEST_F(PostgresParticipantTest, WriteThatTouchesNothingVotesReadOnlyAndLeavesNothing) {
  const PrepareReply reply = PrepareSql({"UPDATE held SET amount = 0 WHERE name = 'nobody'"});
  EXPECT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
}

TEST_F(PostgresParticipantTest, SelectForUpdateHoldsItsLockAndVotesYes) {
  const PrepareReply reply = PrepareSql({"SELECT * FROM held WHERE name = 'a' FOR UPDATE"});
  EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_FALSE(store_->OutsideWrite("a", 1));
}

TEST_F(PostgresParticipantTest, ReadOnlyBranchLetsNoNotificationOut) {
  EXPECT_EQ(PrepareSql({"SELECT 1"}).vote.kind, VoteKind::kReadOnly);
  EXPECT_EQ(PrepareSql({"NOTIFY somebody"}).vote.kind, VoteKind::kNo);
}

TEST_F(PostgresParticipantTest, ExpectedRowsThatMatchVoteYes) {
  Statement statement = store_->Add("a", 5);
  statement.expect_rows = 1;
  const PrepareReply reply = PrepareNow(*participant_, NewTestGid(), {statement});
  EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
}

TEST_F(PostgresParticipantTest, ParametersAndResultsKeepTheirTypes) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const Value bytes{Blob{std::string("\0\xff'\\", 4)}};
  const auto result = WorkNow(
      *branch, {Sql("SELECT $1::int8, $2::text, $3::bool, $4::float8, $5::bytea, $6::text",
                    {Value{int64_t{-7}}, Value{std::string("it's")}, Value{true}, Value{0.1},
                     bytes, Value{}})});
  ASSERT_TRUE(result) << result.error().ToString();
  const std::vector<Value> row{
      Value{int64_t{-7}}, Value{std::string("it's")}, Value{true}, Value{0.1}, bytes, Value{}};
  ASSERT_EQ(result->front().values.size(), 1u);
  EXPECT_EQ(result->front().values.front(), Value{row});
  EXPECT_EQ(result->front().rows, 1);
}

TEST_F(PostgresParticipantTest, ResultsBeyondTheirBoundAreNeitherKeptNorAYes) {
  const std::string endless = "SELECT repeat('x', 1000) FROM generate_series(1, 2000000)";
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const auto worked = WorkNow(*branch, {Sql("UPDATE held SET amount = 0"), Sql(endless)});
  ASSERT_FALSE(worked);
  EXPECT_THAT(worked.error().message(), HasSubstr("more than 64 MiB"));
  EXPECT_EQ(PrepareNow(*branch).vote.kind, VoteKind::kNo);
  const Gid gid = NewTestGid();
  const PrepareReply at_once =
      PrepareNow(*participant_, gid, {Sql("DELETE FROM held"), Sql(endless)});
  EXPECT_EQ(at_once.vote.kind, VoteKind::kNo);
  EXPECT_THAT(at_once.vote.reason, HasSubstr("more than 64 MiB"));
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0") << "taken back";
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
  auto alone = participant_->Begin(NewTestGid(), TestDeadline());
  const OnePhaseReply committed =
      CommitOnePhaseNow(*alone, {Sql("DELETE FROM held"), Sql(endless)});
  EXPECT_EQ(committed.kind, OnePhaseKind::kRolledBack) << committed.reason;
  EXPECT_THAT(committed.reason, HasSubstr("more than 64 MiB"));
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 512 * 1024) << "KiB, of 2 GB sent";
}

TEST_F(PostgresParticipantTest, ManyRowsComeWholeAndInOrder) {
  const PrepareReply reply =
      PrepareSql({"SELECT n FROM generate_series(1, 10000) n", "SELECT 'last'"});
  ASSERT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
  ASSERT_EQ(reply.results.size(), 2u);
  EXPECT_EQ(reply.results[0].rows, 10000);
  ASSERT_EQ(reply.results[0].values.size(), 10000u);
  EXPECT_EQ(reply.results[0].values[9999], (Value{std::vector<Value>{{int64_t{10000}}}}));
  EXPECT_EQ(reply.results[1].values[0], (Value{std::vector<Value>{{std::string("last")}}}));
}

TEST_F(PostgresParticipantTest, SessionSettingsDoNotReachTheNextBranch) {
  participant_ = store_->MakeParticipantWith("", 2);  // one connection for work
  EXPECT_EQ(PrepareSql({"SET work_mem = '77MB'"}).vote.kind, VoteKind::kReadOnly);
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  const auto result = WorkNow(*branch, {Sql("SHOW work_mem")});
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_NE(result->front().values.front(),
            (Value{std::vector<Value>{Value{std::string("77MB")}}}));
}

TEST_F(PostgresParticipantTest, CommitPassesWorkThatIsBlockedOnIt) {
  participant_ = store_->MakeParticipantWith("", 3);  // two for work, one for commits
  std::vector<Gid> gids(6);
  for (Gid& waiting : gids) waiting = NewTestGid();
  const Gid gid = NewTestGid();  // the youngest: the others wait for it
  const Token token = Vote(gid);
  std::vector<std::unique_ptr<Branch>> branches;
  std::vector<std::future<PrepareReply>> votes;
  for (const Gid& waiting : gids) {
    branches.push_back(participant_->Begin(waiting, TestDeadline()));
    votes.push_back(StartPrepare(*branches.back(), {store_->Add("a", 1)}));
  }
  EXPECT_EQ(CommitNow(*participant_, gid, token).kind, AckKind::kDone);
  int committed = 0;
  for (size_t i = 0; i < votes.size(); ++i) {
    // They follow each other: every one waits for the row that the last one holds.
    std::optional<size_t> voted;
    while (!voted) {
      for (size_t j = 0; j < votes.size() && !voted; ++j) {
        if (votes[j].valid() &&
            votes[j].wait_for(std::chrono::milliseconds(1)) == std::future_status::ready) {
          voted = j;
        }
      }
    }
    const PrepareReply reply = votes[*voted].get();
    // On a slow machine a younger one may have given way to an older one meanwhile.
    if (reply.vote.reason.find("gave way") != std::string::npos) continue;
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    EXPECT_EQ(CommitNow(*participant_, gids[*voted], reply.vote.token).kind, AckKind::kDone);
    ++committed;
  }
  EXPECT_GE(committed, 1);
  EXPECT_EQ(store_->Look("a"), 105 + committed);
}

TEST_F(PostgresParticipantTest, RollbackWaitsForAnUnansweredPrepare) {
  const Gid gid = NewTestGid(), blocker = NewTestGid();  // only an older one waits
  const Token token = Vote(blocker);
  auto branch = participant_->Begin(gid, TestDeadline());
  auto vote = StartPrepare(*branch, {store_->Add("a", 1)});
  auto rolled_back = StartRollback(*participant_, gid, "", TestDeadline());
  EXPECT_EQ(CommitNow(*participant_, blocker, token).kind, AckKind::kDone);
  EXPECT_EQ(vote.get().vote.kind, VoteKind::kYes);
  EXPECT_EQ(rolled_back.get().kind, AckKind::kDone);
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  EXPECT_EQ(store_->Look("a"), 105);
}

TEST_F(PostgresParticipantTest, CallsOwedAtTheEndAreAnswered) {
  const Gid gid = NewTestGid(), blocker = NewTestGid();  // only an older one waits
  Vote(blocker);
  auto branch = participant_->Begin(gid, TestDeadline());
  auto vote = StartPrepare(*branch, {store_->Add("a", 1)});
  participant_.reset();
  EXPECT_NE(vote.get().vote.kind, VoteKind::kYes);
  EXPECT_EQ(PrepareNow(*branch).vote.kind, VoteKind::kNo);
}

TEST_F(PostgresParticipantTest, BlockedWorkOfADeadClientLetsGoByItself) {
  const Gid gid = NewTestGid(), blocker = NewTestGid();  // only an older one waits
  const Token token = Vote(blocker);
  auto branch = participant_->Begin(gid, TestDeadline(std::chrono::hours(1)));
  auto vote = StartPrepare(*branch, {store_->Insert("new", 1), store_->Add("a", 1)});
  const char* waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
  while (store_->Psql(waiting) != "1") {
  }
  participant_.reset();
  EXPECT_EQ(vote.get().vote.kind, VoteKind::kUnknown);
  while (store_->Psql(waiting) != "0") {
  }
  participant_ = store_->MakeParticipant();
  EXPECT_EQ(CommitNow(*participant_, blocker, token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  EXPECT_EQ(store_->Look("new"), std::nullopt);
}

TEST_F(PostgresParticipantTest, OnePhaseCommitWithoutAReplyIsNotCalledRolledBack) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {store_->Add("a", 5)}));
  store_->Psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
  const OnePhaseReply reply = CommitOnePhaseNow(*branch, {});
  EXPECT_NE(reply.kind, OnePhaseKind::kCommitted);
  EXPECT_EQ(store_->Look("a"), 100);
}

TEST_F(PostgresParticipantTest, OnePhaseCommitIsSynchronousWhateverTheStatementsSet) {
  // The trigger runs within COMMIT, and keeps what holds there.
  store_->Psql("CREATE TABLE held_at_commit (setting text)");
  store_->Psql(
      "CREATE OR REPLACE FUNCTION keep_setting() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
      "INSERT INTO held_at_commit VALUES (current_setting('synchronous_commit')); "
      "RETURN NULL; END $$");
  store_->Psql(
      "CREATE CONSTRAINT TRIGGER keep_setting AFTER UPDATE ON held DEFERRABLE INITIALLY "
      "DEFERRED FOR EACH ROW EXECUTE FUNCTION keep_setting()");
  for (const char* lax : {"SET synchronous_commit = off", "SET LOCAL synchronous_commit = off",
                          "SELECT set_config('synchronous_commit', 'off', false)"}) {
    store_->Psql("DELETE FROM held_at_commit");
    auto branch = participant_->Begin(NewTestGid(), TestDeadline());
    const OnePhaseReply reply =
        CommitOnePhaseNow(*branch, {Statement{lax, {}, {}}, store_->Add("a", 5)});
    EXPECT_EQ(reply.kind, OnePhaseKind::kCommitted) << lax << ": " << reply.reason;
    EXPECT_EQ(store_->Psql("SELECT setting FROM held_at_commit"), "on") << lax;
  }
  store_->Psql("DROP FUNCTION keep_setting CASCADE");
  store_->Psql("DROP TABLE held_at_commit");
}

TEST_F(PostgresParticipantTest, CommitCutOffInItsMiddleIsSettledByItsTransactionId) {
  store_->Psql(
      "CREATE OR REPLACE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
      "$$ BEGIN PERFORM pg_sleep(600); RETURN NULL; END $$");
  store_->Psql(
      "CREATE CONSTRAINT TRIGGER dawdle AFTER UPDATE ON held DEFERRABLE INITIALLY DEFERRED "
      "FOR EACH ROW EXECUTE FUNCTION dawdle()");
  auto one = participant_->Begin(NewTestGid(), TestDeadline());
  auto two = participant_->Begin(NewTestGid(), TestDeadline());
  auto committed = std::make_shared<std::promise<OnePhaseReply>>();
  one->CommitOnePhase({store_->Add("a", 5)}, [committed](OnePhaseReply reply) {
    committed->set_value(std::move(reply));
  });
  auto prepared = StartPrepare(*two, {store_->Add("b", 5)});
  const char* asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  while (store_->Psql(asleep) != "2") {
  }
  store_->Psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
  const OnePhaseReply reply = committed->get_future().get();
  EXPECT_EQ(reply.kind, OnePhaseKind::kRolledBack) << reply.reason;
  EXPECT_THAT(reply.reason, HasSubstr("did not take place"));
  // A prepare has a name to be asked for: it stays unknown, and unknown is never no.
  EXPECT_EQ(prepared.get().vote.kind, VoteKind::kUnknown);
  store_->Psql("DROP FUNCTION dawdle CASCADE");
}

TEST_F(PostgresParticipantTest, BranchBelongsToOurRoleWhateverRoleItsStatementsTook) {
  store_->Psql("CREATE ROLE another NOLOGIN");
  store_->Psql("GRANT ALL ON held TO another");
  const std::string ours = store_->Psql("SELECT current_user");
  for (const char* taken : {"SET LOCAL ROLE another", "SET ROLE another",
                            "SELECT set_config('role', 'another', true)"}) {
    const Gid gid = NewTestGid();
    const PrepareReply reply =
        PrepareNow(*participant_, gid, {Statement{taken, {}, {}}, store_->Add("a", 5)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << taken << ": " << reply.vote.reason;
    EXPECT_EQ(store_->Psql("SELECT owner FROM pg_prepared_xacts"), ours) << taken;
    const auto listed = participant_->ListPrepared(TestDeadline());
    ASSERT_TRUE(listed) << listed.error().ToString();
    EXPECT_EQ(listed->size(), 1u) << taken << ": an orphan scan would not find it";
    EXPECT_EQ(CommitNow(*participant_, gid, reply.vote.token).kind, AckKind::kDone) << taken;
  }
  store_->Psql("REVOKE ALL ON held FROM another");
  store_->Psql("DROP ROLE another");
}

TEST_F(PostgresParticipantTest, EndOfAPasswordIsNotTakenForAHost) {
  const auto made =
      MakePostgresParticipant({.name = "a", .dsn = "postgresql://app:wr@secret@nohost/bank"});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message(), testing::Not(HasSubstr("secret")));
  EXPECT_THAT(made.error().message(), HasSubstr("%40"));
}

TEST_F(PostgresParticipantTest, BeginOfAPasswordIsNotTakenForAPort) {
  const auto made =
      MakePostgresParticipant({.name = "a", .dsn = "postgresql://app:open/sesame@host/bank"});
  ASSERT_FALSE(made);
  for (const char* part : {"open", "sesame"}) {
    EXPECT_THAT(made.error().message(), testing::Not(HasSubstr(part)));
  }
  EXPECT_THAT(made.error().message(), HasSubstr("%2F"));
  EXPECT_TRUE(MakePostgresParticipant(
      {.name = "a", .dsn = "postgresql://app:open%2Fsesame@host/bank?user=a@b"}));
}

TEST_F(PostgresParticipantTest, PasswordIsInNoMessage) {
  const auto away = store_->MakeUnreachable();
  const auto report = away->Preflight(TestDeadline());
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message(), testing::Not(HasSubstr("sesame")));
  const PrepareReply reply = PrepareNow(*away, NewTestGid(), {store_->Add("a", 5)});
  EXPECT_THAT(reply.vote.reason, testing::Not(HasSubstr("sesame")));
}

TEST(PostgresPreflight, RefusesAServerThatCannotPrepare) {
  ScratchFolder folder("indoubt-postgres-test");
  auto server = PostgresServer::Start(
      folder.path(), {{"max_prepared_transactions", "0"}, {"synchronous_commit", "off"}});
  ASSERT_TRUE(server) << server.error().ToString();
  auto participant = MakePostgresParticipant({.name = "store", .dsn = (*server)->dsn()});
  ASSERT_TRUE(participant) << participant.error().ToString();
  const auto report = (*participant)->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems,
              testing::UnorderedElementsAre(HasSubstr("max_prepared_transactions"),
                                            HasSubstr("synchronous_commit")));
  const PrepareReply reply =
      PrepareNow(**participant, NewTestGid(), {Sql("CREATE TABLE t (x int)")});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("max_prepared_transactions"));
}

}  // namespace
}  // namespace indoubt
