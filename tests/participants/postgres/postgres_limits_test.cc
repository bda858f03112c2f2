// What a server runs out of or takes back: slots for prepared transactions, serializable
// order, its memory of old transactions, and time.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "participants/postgres/postgres_participant.h"
#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kPrepared = "SELECT count(*) FROM pg_prepared_xacts";

Statement Sql(std::string text) {
  return {.text = std::move(text), .params = {}, .expect_rows = {}};
}

class PostgresLimits : public PostgresFixture {
 protected:
  /// But for the outsider's own.
  bool NoTransactionIsOpen() {
    store_->Psql("SELECT pg_stat_clear_snapshot()");  // kept for the rest of a transaction
    return store_->Psql(
               "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
               "AND pid <> pg_backend_pid() AND xact_start IS NOT NULL") == "0";
  }
  /// No branch, no lock wait and no open transaction of a client's is left.
  void ExpectNothingStays() {
    EXPECT_EQ(store_->Psql(kPrepared), "0");
    EXPECT_TRUE(Eventually([&] { return NoTransactionIsOpen(); }))
        << "a transaction is still open";
    EXPECT_EQ(store_->Look("a"), 100);
    EXPECT_TRUE(store_->OutsideWrite("a", 1));
  }
};

TEST(PostgresSlots, UsedUpOnesAreANoAndTheirPreflightIsRefusedUntilOneIsFree) {
  ScratchFolder folder("indoubt-postgres-test");
  auto server = PostgresServer::Start(folder.path(), {{"max_prepared_transactions", "1"}});
  ASSERT_TRUE(server) << server.error().ToString();
  auto made = MakePostgresParticipant({.name = "store", .dsn = (*server)->dsn()});
  ASSERT_TRUE(made) << made.error().ToString();
  Participant& participant = **made;
  const auto problems = [&] {
    const auto report = participant.Preflight(TestDeadline());
    EXPECT_TRUE(report) << report.error().ToString();
    return report->problems;
  };
  EXPECT_THAT(problems(), IsEmpty());

  const Gid first = NewTestGid(), second = NewTestGid();
  const PrepareReply yes = PrepareNow(participant, first, {Sql("CREATE TABLE t (x int)")});
  ASSERT_EQ(yes.vote.kind, VoteKind::kYes) << yes.vote.reason;
  auto worked = participant.Begin(second, TestDeadline());
  ASSERT_TRUE(WorkNow(*worked, {Sql("CREATE TABLE u (x int)")}));
  const PrepareReply alone = PrepareNow(*worked);
  const PrepareReply at_once =
      PrepareNow(participant, NewTestGid(), {Sql("CREATE TABLE u (x int)")});
  for (const PrepareReply& reply : {alone, at_once}) {
    EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
    EXPECT_THAT(reply.vote.reason,
                AllOf(HasSubstr("Increase max_prepared_transactions (currently 1)"),
                      HasSubstr("ALTER SYSTEM SET max_prepared_transactions"),
                      HasSubstr("restart the server")));
  }
  // A branch in flight is no reason to refuse the store; one that stays is.
  EXPECT_TRUE(Eventually([&] { return !problems().empty(); }));
  EXPECT_THAT(problems(), ElementsAre(AllOf(
                              HasSubstr("all 1 slots of max_prepared_transactions are used up, "
                                        "1 of them by branches of indoubt"),
                              HasSubstr("indoubt recover"),
                              HasSubstr("ALTER SYSTEM SET max_prepared_transactions = 2"))));

  // What is in doubt can be settled all the same, and then everything is well.
  const auto listed = participant.ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().id.gid, first);
  EXPECT_EQ(CommitNow(participant, first, yes.vote.token).kind, AckKind::kDone);
  EXPECT_THAT(problems(), IsEmpty());
  const Gid third = NewTestGid();
  const PrepareReply free = PrepareNow(participant, third, {Sql("CREATE TABLE u (x int)")});
  EXPECT_EQ(free.vote.kind, VoteKind::kYes) << free.vote.reason;
  EXPECT_EQ(CommitNow(participant, third, free.vote.token).kind, AckKind::kDone);
}

TEST_F(PostgresLimits, SerializationFailureIsANoWhetherTheServerFindsItAtWorkOrAtThePrepare) {
  const Statement serializable = Sql("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
  const Statement sum = Sql("SELECT sum(amount) FROM held");
  const Gid first = NewTestGid();
  auto one = participant_->Begin(first, TestDeadline());
  auto two = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*one, {serializable, sum}));
  ASSERT_TRUE(WorkNow(*two, {serializable, sum}));
  // Each writes what the other has read; together they are the outcome of no order.
  ASSERT_TRUE(WorkNow(*two, {store_->Add("b", 5)}));
  const PrepareReply yes = PrepareNow(*one, {store_->Add("a", 5)});
  ASSERT_EQ(yes.vote.kind, VoteKind::kYes) << yes.vote.reason;
  const PrepareReply no = PrepareNow(*two);
  EXPECT_EQ(no.vote.kind, VoteKind::kNo);
  EXPECT_THAT(no.vote.reason,
              AllOf(HasSubstr("PREPARE TRANSACTION: "), HasSubstr("SQLSTATE 40001")));
  EXPECT_EQ(store_->Psql(kPrepared), "1");
  EXPECT_EQ(CommitNow(*participant_, first, yes.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Look("a"), 105);
  EXPECT_EQ(store_->Look("b"), 100);

  auto late = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*late, {Sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"), sum}));
  ASSERT_TRUE(store_->OutsideWrite("a", 100));
  const auto worked = WorkNow(*late, {store_->Add("a", 5)});
  ASSERT_FALSE(worked);
  EXPECT_EQ(worked.error().code(), StatusCode::kAborted);
  EXPECT_THAT(worked.error().message(), HasSubstr("SQLSTATE 40001"));
  EXPECT_EQ(PrepareNow(*late).vote.kind, VoteKind::kNo);
  ExpectNothingStays();
}

TEST_F(PostgresLimits, TransactionTooOldForTheServerToRememberIsHeuristic) {
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("a", 5)});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ASSERT_EQ(store_->Psql("ROLLBACK PREPARED '" + BranchId{gid, "store"}.ToString() + "'"),
            "ROLLBACK PREPARED");
  store_->Psql("UPDATE pg_database SET datallowconn = true WHERE datname = 'template0'");
  // When every database is frozen, the next start need not know how those before ended.
  for (const char* database : {"template0", "template1", "postgres"}) {
    const auto frozen =
        RunProgram({.argv = {"psql", "-X", "-q", "-d", store_->server().dsn(database), "-c",
                             "VACUUM (FREEZE)"}},
                   TestDeadline());
    ASSERT_TRUE(frozen) << frozen.error().ToString();
  }
  ASSERT_EQ(store_->Psql("CHECKPOINT"), "CHECKPOINT");
  store_->KillServer();
  ASSERT_TRUE(store_->RestartServer().ok());
  participant_ = store_->MakeParticipant();
  ASSERT_EQ(store_->Psql("SELECT pg_xact_status('" + reply.vote.token + "'::xid8) IS NULL"),
            "t");
  const Ack ack = CommitNow(*participant_, gid, reply.vote.token);
  EXPECT_EQ(ack.kind, AckKind::kHeuristic);
  EXPECT_THAT(ack.reason,
              AllOf(HasSubstr("too old for pg_xact_status"), HasSubstr(reply.vote.token)));
}

TEST_F(PostgresLimits, LockHeldFromPsqlPastTheDeadlineIsANoInTimeAndNothingStays) {
  store_->Psql("BEGIN");
  store_->Psql("UPDATE held SET amount = 1 WHERE name = 'a'");
  const TimePoint deadline = TestDeadline(std::chrono::milliseconds(900));
  auto working = participant_->Begin(NewTestGid(), deadline);
  const auto worked = WorkNow(*working, {store_->Insert("new", 1), store_->Add("a", 5)});
  EXPECT_FALSE(worked);
  EXPECT_EQ(PrepareNow(*working).vote.kind, VoteKind::kNo);

  // The cancel leaves 100 ms for the server to answer. On a busy machine it may answer later:
  // then the vote is unknown, and who has not heard of it in time tries again.
  Vote vote;
  EXPECT_TRUE(Eventually([&] {
    const Gid gid = NewTestGid();
    auto preparing = participant_->Begin(gid, TestDeadline(std::chrono::milliseconds(900)));
    vote = PrepareNow(*preparing, {store_->Insert("new", 1), store_->Add("a", 5)}).vote;
    EXPECT_TRUE(vote.kind == VoteKind::kNo || vote.kind == VoteKind::kUnknown) << vote.reason;
    // In time or not, it lets go of what it held and waited for while psql still has the row.
    EXPECT_TRUE(Eventually([&] { return NoTransactionIsOpen(); }));
    EXPECT_EQ(store_->Psql(kPrepared), "0");
    if (vote.kind == VoteKind::kUnknown) {
      EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
    }
    return vote.kind == VoteKind::kNo || HasFailure();
  })) << "it is never cancelled in time: "
      << vote.reason;
  EXPECT_THAT(vote.reason, HasSubstr("the transaction's deadline is near"));
  store_->Psql("ROLLBACK");
  EXPECT_EQ(store_->Look("new"), std::nullopt);
  ExpectNothingStays();
}

TEST_F(PostgresLimits, StatementThatLiftsTheLimitEndsAtTheDeadlineAllTheSame) {
  for (const char* lifted : {"SET LOCAL statement_timeout = 0", "SET lock_timeout = 0",
                             "SELECT set_config('statement_timeout', '0', false)"}) {
    SCOPED_TRACE(lifted);
    const Gid gid = NewTestGid();
    store_->Psql("BEGIN");
    store_->Psql("UPDATE held SET amount = 1 WHERE name = 'a'");
    auto branch = participant_->Begin(gid, TestDeadline(std::chrono::milliseconds(500)));
    const PrepareReply reply = PrepareNow(*branch, {Sql(lifted), store_->Add("a", 5)});
    EXPECT_TRUE(reply.vote.kind == VoteKind::kNo || reply.vote.kind == VoteKind::kUnknown);
    EXPECT_FALSE(reply.vote.reason.empty());
    // While psql still holds the row: it is the participant that lets go.
    EXPECT_TRUE(Eventually([&] {
      return store_->Psql("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0";
    })) << "the statement still waits";
    store_->Psql("ROLLBACK");
    EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);
    EXPECT_EQ(store_->Psql(kPrepared), "0");
    EXPECT_EQ(store_->Look("a"), 100);
  }
  ExpectNothingStays();
}

}  // namespace
}  // namespace indoubt
