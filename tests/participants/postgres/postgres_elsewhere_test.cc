// Branches that a connection may not or cannot end: of another role, in another database of
// the same server. They are not listed, not touched, and never taken for ended.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PostgresElsewhere : public PostgresFixture {
 protected:
  static std::vector<Gid> Listed(Participant& participant) {
    const auto listed = participant.ListPrepared(TestDeadline());
    EXPECT_TRUE(listed) << listed.error().ToString();
    std::vector<Gid> gids;
    if (!listed) return gids;
    for (const PreparedBranch& branch : *listed) gids.push_back(branch.id.gid);
    return gids;
  }
  /// `participant` can tell the branch nothing: it is asked again, and says `why`.
  void ExpectNotTouched(Participant& participant, const Gid& gid, const Token& token,
                        const std::string& why) {
    for (const Ack& ack : {StartCommit(participant, gid, token, TestDeadline()).get(),
                           StartRollback(participant, gid, token, TestDeadline()).get(),
                           StartRollback(participant, gid, "", TestDeadline()).get()}) {
      EXPECT_EQ(ack.kind, AckKind::kRetry) << ack.reason;
      EXPECT_THAT(ack.reason, HasSubstr(why));
    }
    EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "1");
  }
};

TEST_F(PostgresElsewhere, BranchInAnotherDatabaseOfTheServerIsNotListedAndNotTouched) {
  ASSERT_EQ(store_->Psql("CREATE DATABASE elsewhere"), "CREATE DATABASE");
  const auto there = store_->MakeParticipantWith("dbname=elsewhere");
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*there, gid, {{"CREATE TABLE t (x int)", {}, {}}});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_THAT(Listed(*participant_), IsEmpty());
  EXPECT_THAT(Listed(*there), ElementsAre(gid));
  ExpectNotTouched(*participant_, gid, reply.vote.token, "another database");
  EXPECT_EQ(CommitNow(*there, gid, reply.vote.token).kind, AckKind::kDone);
  auto reader = there->Begin(NewTestGid(), TestDeadline());
  const auto read = WorkNow(*reader, {{"SELECT * FROM t", {}, {}}});
  EXPECT_TRUE(read) << "the commit is not there: " << read.error().ToString();
}

TEST_F(PostgresElsewhere, BranchOfAnotherRoleIsNotListedNotTouchedAndNamedByThePreflight) {
  store_->Psql("CREATE ROLE teller LOGIN");
  store_->Psql("GRANT ALL ON held TO teller");
  const auto teller = store_->MakeParticipantWith("user=teller");
  const Gid gid = NewTestGid();
  const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("a", 5)});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_THAT(Listed(*teller), IsEmpty());
  ExpectNotTouched(*teller, gid, reply.vote.token, "permission denied");
  const auto report = teller->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_THAT(report->warnings,
              ElementsAre(HasSubstr("1 prepared branches of indoubt belong to role postgres; "
                                    "connect as that role")));
  EXPECT_EQ(CommitNow(*participant_, gid, reply.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Look("a"), 105);
}

TEST_F(PostgresElsewhere, WhatOnlyBeginsLikeABranchIsNotListedAndNamedByThePreflight) {
  store_->LeaveForeignBranch();
  EXPECT_THAT(Listed(*participant_), IsEmpty());
  const auto report = participant_->Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->notes,
              testing::Contains(HasSubstr("says ROLLBACK PREPARED 'idt:another program'")));
  EXPECT_TRUE(store_->ForeignBranchIsThere());
}

TEST_F(PostgresElsewhere, RoleThatMayNotWriteVotesNoAndLeavesNothing) {
  store_->Psql("CREATE ROLE reader LOGIN");
  store_->Psql("GRANT SELECT ON held TO reader");
  const auto reader = store_->MakeParticipantWith("user=reader");
  const PrepareReply reply = PrepareNow(*reader, NewTestGid(), {store_->Add("a", 5)});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, HasSubstr("permission denied for table held"));
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  EXPECT_TRUE(store_->OutsideWrite("a", 1)) << "a lock was left behind";
}

TEST_F(PostgresElsewhere, UnknownRoleOrDatabaseIsUnavailableAndItsVoteANo) {
  for (const char* wrong : {"user=nobody_here", "dbname=nowhere"}) {
    SCOPED_TRACE(wrong);
    const auto away = store_->MakeParticipantWith(wrong);
    const auto report = away->Preflight(TestDeadline());
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code(), StatusCode::kUnavailable);
    EXPECT_THAT(report.error().message(), HasSubstr("does not exist"));
    const PrepareReply reply = PrepareNow(*away, NewTestGid(), {store_->Add("a", 5)});
    EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
    EXPECT_THAT(reply.vote.reason, HasSubstr("does not exist"));
  }
}

}  // namespace
}  // namespace indoubt
