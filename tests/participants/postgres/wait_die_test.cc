// Who waits for a lock and who gives way, on a real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

class PostgresWaitDie : public PostgresFixture {
 protected:
  std::unique_ptr<Branch> Begin(const Gid& gid, TimePoint deadline = TestDeadline()) {
    return participant_->Begin(gid, deadline);
  }
  void AwaitWaiting(const std::string& count) {
    while (store_->Psql("SELECT count(*) FROM pg_locks WHERE NOT granted") != count) {
    }
  }
  /// Returns once somebody younger that waits for "b" was made to give way: by then
  /// everybody who waited before was looked at as often.
  void AwaitAnotherGivesWay() {
    const Gid older = NewTestGid(), younger = NewTestGid();
    auto holder = Begin(older);
    ASSERT_TRUE(WorkNow(*holder, {store_->Add("b", 1)}));
    ExpectGaveWay(PrepareNow(*participant_, younger, {store_->Add("b", 1)}).vote, older);
  }
  /// The vote is a clean no because of `older`, long before the deadline of 30 s.
  void ExpectGaveWay(const Vote& vote, const Gid& older) {
    EXPECT_EQ(vote.kind, VoteKind::kNo);
    EXPECT_THAT(vote.reason, HasSubstr("statement 1: waited for a lock of the older "
                                       "transaction " +
                                       older.ToString()));
    EXPECT_LT(SystemClock().Now() - started_, std::chrono::seconds(20));
    EXPECT_EQ(vote.reason.find('\n'), std::string::npos);
  }
  static bool IsReady(const std::future<PrepareReply>& vote) {
    return vote.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  const TimePoint started_ = SystemClock().Now();
};

TEST_F(PostgresWaitDie, YoungerGivesWayToALiveOlderHolder) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  auto holder = Begin(older);
  ASSERT_TRUE(WorkNow(*holder, {store_->Add("a", 5)}));
  ExpectGaveWay(PrepareNow(*participant_, younger, {store_->Add("a", 7)}).vote, older);
  const PrepareReply reply = PrepareNow(*holder);
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_EQ(CommitNow(*participant_, older, reply.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Look("a"), 105);
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
}

TEST_F(PostgresWaitDie, YoungerGivesWayToAnOlderOneInDoubt) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  ASSERT_EQ(PrepareNow(*participant_, older, {store_->Add("a", 5)}).vote.kind, VoteKind::kYes);
  participant_ = store_->MakeParticipant();  // its coordinator has died
  ExpectGaveWay(PrepareNow(*participant_, younger, {store_->Add("a", 7)}).vote, older);
}

TEST_F(PostgresWaitDie, TableLockOfAnOlderOneInDoubtCountsToo) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  const Statement lock{"LOCK TABLE held IN EXCLUSIVE MODE", {}, {}};
  ASSERT_EQ(PrepareNow(*participant_, older, {store_->Add("b", 5), lock}).vote.kind,
            VoteKind::kYes);
  ExpectGaveWay(PrepareNow(*participant_, younger, {store_->Add("a", 7)}).vote, older);
}

TEST_F(PostgresWaitDie, OlderWaitsAndGetsThrough) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  const PrepareReply held = PrepareNow(*participant_, younger, {store_->Add("a", 5)});
  ASSERT_EQ(held.vote.kind, VoteKind::kYes) << held.vote.reason;
  auto waiter = Begin(older);
  auto vote = StartPrepare(*waiter, {store_->Add("a", 7)});
  AwaitWaiting("1");
  AwaitAnotherGivesWay();
  EXPECT_FALSE(IsReady(vote));
  EXPECT_EQ(CommitNow(*participant_, younger, held.vote.token).kind, AckKind::kDone);
  const PrepareReply reply = vote.get();
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_EQ(CommitNow(*participant_, older, reply.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Look("a"), 112);
}

TEST_F(PostgresWaitDie, HolderThatIsNotOursIsWaitedForUntilTheDeadline) {
  store_->Psql("BEGIN");
  store_->Psql("UPDATE held SET amount = 1 WHERE name = 'a'");
  const TimePoint deadline = TestDeadline(std::chrono::seconds(3));
  auto waiter = Begin(NewTestGid(), deadline);
  auto vote = StartPrepare(*waiter, {store_->Add("a", 7)});
  AwaitWaiting("1");
  AwaitAnotherGivesWay();
  EXPECT_FALSE(IsReady(vote));
  const PrepareReply reply = vote.get();
  store_->Psql("ROLLBACK");
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("the transaction's deadline is near"));
  EXPECT_GE(SystemClock().Now(), deadline - std::chrono::milliseconds(500));
}

TEST_F(PostgresWaitDie, HolderInAnotherProcessIsKnownByItsApplicationName) {
  const Gid older = NewTestGid(), younger = NewTestGid();
  const auto other = store_->MakeParticipant();  // a pool of its own
  auto holder = other->Begin(older, TestDeadline());
  ASSERT_TRUE(WorkNow(*holder, {store_->Add("a", 5)}));
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = '" +
                         older.ToString() + "'"),
            "1");
  ExpectGaveWay(PrepareNow(*participant_, younger, {store_->Add("a", 7)}).vote, older);
}

TEST_F(PostgresWaitDie, WorkAndOnePhaseCommitsGiveWayAsWell) {
  const Gid older = NewTestGid();
  auto holder = Begin(older);
  ASSERT_TRUE(WorkNow(*holder, {store_->Add("a", 5)}));
  auto working = Begin(NewTestGid());
  const auto worked = WorkNow(*working, {store_->Add("a", 7)});
  ASSERT_FALSE(worked);
  ExpectGaveWay({VoteKind::kNo, "", worked.error().message()}, older);
  auto alone = Begin(NewTestGid());
  const OnePhaseReply reply = CommitOnePhaseNow(*alone, {store_->Add("a", 7)});
  EXPECT_EQ(reply.kind, OnePhaseKind::kRolledBack);
  ExpectGaveWay({VoteKind::kNo, "", reply.reason}, older);
}

TEST_F(PostgresWaitDie, AnotherBranchOfItsOwnTransactionIsNotWaitedFor) {
  const Gid gid = NewTestGid();
  auto holder = Begin(gid);
  ASSERT_TRUE(WorkNow(*holder, {store_->Add("a", 5)}));
  const Vote vote = PrepareNow(*participant_, gid, {store_->Add("a", 7)}).vote;
  EXPECT_EQ(vote.kind, VoteKind::kNo);
  EXPECT_THAT(vote.reason, HasSubstr("another branch of its own transaction"));
}

TEST_F(PostgresWaitDie, ConnectionOfTheOneThatGaveWayServesTheNext) {
  participant_ = store_->MakeParticipantWith("", 2);  // one connection for work
  const Gid older = NewTestGid();
  ASSERT_EQ(PrepareNow(*participant_, older, {store_->Add("a", 5)}).vote.kind, VoteKind::kYes);
  for (int i = 0; i < 5; ++i) {
    ExpectGaveWay(PrepareNow(*participant_, NewTestGid(), {store_->Add("a", 7)}).vote, older);
    auto next = Begin(NewTestGid());
    const OnePhaseReply reply = CommitOnePhaseNow(*next, {store_->Add("b", 1)});
    EXPECT_EQ(reply.kind, OnePhaseKind::kCommitted) << reply.reason;
  }
  EXPECT_EQ(store_->Look("b"), 105);
}

// A wait of the PREPARE itself (a deferred foreign key): its cancel leaves the vote
// unknown, which is never taken for a no, and nothing stays behind.
TEST_F(PostgresWaitDie, GivingWayDuringThePrepareItselfIsAnUnknownVote) {
  store_->Psql("DROP TABLE IF EXISTS child");
  store_->Psql("CREATE TABLE child (name text REFERENCES held DEFERRABLE INITIALLY DEFERRED)");
  const Gid older = NewTestGid(), younger = NewTestGid();
  const Statement remove{"DELETE FROM held WHERE name = 'a'", {}, {}};
  ASSERT_EQ(PrepareNow(*participant_, older, {remove}).vote.kind, VoteKind::kYes);
  const Statement point{"INSERT INTO child VALUES ('a')", {}, {}};
  const Vote vote = PrepareNow(*participant_, younger, {point}).vote;
  EXPECT_EQ(vote.kind, VoteKind::kUnknown);
  EXPECT_THAT(vote.reason, HasSubstr("PREPARE TRANSACTION: waited for a lock of the older "
                                     "transaction " +
                                     older.ToString()));
  EXPECT_EQ(RollbackNow(*participant_, younger).kind, AckKind::kDone);
  EXPECT_EQ(RollbackNow(*participant_, older).kind, AckKind::kDone);
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  store_->Psql("DROP TABLE child");
}

}  // namespace
}  // namespace indoubt
