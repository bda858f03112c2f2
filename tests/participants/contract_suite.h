// The one contract that every adapter passes against its real store. Include it in
// one source file of the adapter's test program and say
//
//   INDOUBT_INSTANTIATE_CONTRACT(Postgres, MakePostgresContractStore);
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/contract_store.h"

namespace indoubt {

class ParticipantContract : public testing::TestWithParam<ContractStoreFactory> {
 protected:
  static void TearDownTestSuite() { shared_store_.reset(); }

  void SetUp() override {
    if (!shared_store_) shared_store_ = GetParam()();
    ASSERT_NE(shared_store_, nullptr) << "the store could not be started";
    const Status reset = store().Reset();
    ASSERT_TRUE(reset.ok()) << reset.ToString();
    participant_ = store().MakeParticipant();
    ASSERT_NE(participant_, nullptr);
  }
  void TearDown() override { participant_.reset(); }

  ContractStore& store() { return *shared_store_; }
  Participant& participant() { return *participant_; }
  /// What a crash of the coordinator leaves: a participant that knows nothing.
  void ReplaceParticipant() {
    participant_.reset();
    participant_ = store().MakeParticipant();
  }

  /// A yes vote for adding 5 to "a" and inserting "new"; returns its token.
  Token Vote(const Gid& gid) {
    const PrepareReply reply =
        PrepareNow(participant(), gid, {store().Add("a", 5), store().Insert("new", 1)});
    EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    EXPECT_LE(reply.vote.token.size(), 256u);
    return reply.vote.token;
  }
  void ExpectWritten() {
    EXPECT_EQ(store().Look("a"), 105);
    EXPECT_EQ(store().Look("new"), 1);
  }
  void ExpectNothingWritten() {
    EXPECT_EQ(store().Look("a"), 100);
    EXPECT_EQ(store().Look("new"), std::nullopt);
  }
  void ExpectNothingPrepared() {
    const auto listed = participant().ListPrepared(TestDeadline());
    ASSERT_TRUE(listed) << listed.error().ToString();
    EXPECT_TRUE(listed->empty());
  }
  void ExpectCommits(const Gid& gid, const Token& token) {
    const Ack ack = CommitNow(participant(), gid, token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }
  void ExpectRollsBack(const Gid& gid, const Token& token) {
    const Ack ack = RollbackNow(participant(), gid, token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }

 private:
  inline static std::unique_ptr<ContractStore> shared_store_;
  std::unique_ptr<Participant> participant_;
};

TEST_P(ParticipantContract, PreflightFindsNoProblem) {
  const auto report = participant().Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems, testing::IsEmpty());
  EXPECT_THAT(report->version, testing::Not(testing::IsEmpty()));
}

TEST_P(ParticipantContract, CommitMakesThePreparedWorkVisible) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ExpectNothingWritten();
  ExpectCommits(gid, token);
  ExpectWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, YesVoteSurvivesAKillOfTheServer) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  store().KillServer();
  ASSERT_TRUE(store().RestartServer().ok());
  ExpectNothingWritten();
  ExpectCommits(gid, token);
  ExpectWritten();
}

TEST_P(ParticipantContract, YesVoteSurvivesTheCoordinator) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ReplaceParticipant();
  const auto listed = participant().ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().id, (BranchId{gid, participant().name()}));
  ExpectCommits(gid, token);
  ExpectWritten();
}

TEST_P(ParticipantContract, YesVoteSurvivesBothAndIsRolledBackByItsListedToken) {
  const Gid gid = NewTestGid();
  Vote(gid);
  store().KillServer();
  ASSERT_TRUE(store().RestartServer().ok());
  ReplaceParticipant();
  const auto listed = participant().ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  ExpectRollsBack(listed->front().id.gid, listed->front().token);
  ExpectNothingWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, RollbackLeavesNoTrace) {
  const Gid gid = NewTestGid();
  ExpectRollsBack(gid, Vote(gid));
  ExpectNothingWritten();
  ExpectNothingPrepared();
  EXPECT_TRUE(store().OutsideWrite("a", 1)) << "a lock was left behind";
}

TEST_P(ParticipantContract, RollbackWithoutATokenIsEnough) {
  const Gid gid = NewTestGid();
  Vote(gid);
  ExpectRollsBack(gid, "");
  ExpectNothingWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, RollbackOfABranchThatIsNotThereIsDone) {
  ExpectRollsBack(NewTestGid(), "");
}

TEST_P(ParticipantContract, CommitTenTimesIsOneCommit) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  for (int i = 0; i < 10; ++i) ExpectCommits(gid, token);
  ReplaceParticipant();
  ExpectCommits(gid, token);
  ExpectWritten();
}

TEST_P(ParticipantContract, RollbackTenTimesIsOneRollback) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  for (int i = 0; i < 10; ++i) ExpectRollsBack(gid, token);
  ReplaceParticipant();
  ExpectRollsBack(gid, token);
  ExpectNothingWritten();
}

TEST_P(ParticipantContract, RollbackAfterCommitDoesNoHarm) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ExpectCommits(gid, token);
  RollbackNow(participant(), gid, token);  // its answer is the adapter's own affair
  RollbackNow(participant(), gid, "");
  ExpectWritten();
  ExpectCommits(gid, token);
}

TEST_P(ParticipantContract, ForgetAfterTheEndChangesNothing) {
  const Gid gid = NewTestGid();
  ExpectCommits(gid, Vote(gid));
  participant().Forget(gid);
  ExpectWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, ListReturnsOnlyOurs) {
  store().LeaveForeignBranch();
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  const auto listed = participant().ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ(listed->front().id, (BranchId{gid, participant().name()}));
  ExpectRollsBack(gid, token);
  EXPECT_TRUE(store().ForeignBranchIsThere());
}

TEST_P(ParticipantContract, OutsideWriterIsHeldOffUntilTheDecision) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  EXPECT_FALSE(store().OutsideWrite("a", 1));
  EXPECT_FALSE(store().OutsideWrite("new", 1));
  ReplaceParticipant();
  EXPECT_FALSE(store().OutsideWrite("a", 1));
  ExpectCommits(gid, token);
  ExpectWritten();
  EXPECT_TRUE(store().OutsideWrite("a", 1));
  EXPECT_EQ(store().Look("a"), 1);
}

TEST_P(ParticipantContract, FailingStatementVotesNoAndSaysWhy) {
  const Gid gid = NewTestGid();
  const ContractStore::Failing failing = store().MakeFailing();
  const PrepareReply reply =
      PrepareNow(participant(), gid, {store().Add("a", 5), failing.statement});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, testing::HasSubstr(failing.reason));
  ExpectNothingWritten();
  ExpectNothingPrepared();
  EXPECT_TRUE(store().OutsideWrite("a", 1)) << "a lock was left behind";
}

TEST_P(ParticipantContract, FailedWorkEndsTheBranch) {
  auto branch = participant().Begin(NewTestGid(), TestDeadline());
  const ContractStore::Failing failing = store().MakeFailing();
  const auto worked = WorkNow(*branch, {store().Add("a", 5), failing.statement});
  ASSERT_FALSE(worked);
  EXPECT_EQ(worked.error().code(), StatusCode::kAborted);
  EXPECT_THAT(worked.error().message(), testing::HasSubstr(failing.reason));
  EXPECT_EQ(PrepareNow(*branch, {store().Add("b", 5)}).vote.kind, VoteKind::kNo);
  EXPECT_EQ(store().Look("a"), 100);
  EXPECT_EQ(store().Look("b"), 100);
}

TEST_P(ParticipantContract, WrongNumberOfRowsVotesNo) {
  Statement statement = store().TouchesNotSeven();
  statement.expect_rows = 7;
  const PrepareReply reply =
      PrepareNow(participant(), NewTestGid(), {store().Add("a", 5), statement});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_THAT(reply.vote.reason, testing::HasSubstr("7"));
  ExpectNothingWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, ReadingOnlyVotesReadOnly) {
  const PrepareReply reply = PrepareNow(participant(), NewTestGid(), {store().Read("a")});
  EXPECT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
  ASSERT_EQ(reply.results.size(), 1u);
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, WorkThenPrepareReturnsAllResults) {
  const Gid gid = NewTestGid();
  auto branch = participant().Begin(gid, TestDeadline());
  const auto worked = WorkNow(*branch, {store().Add("a", 5)});
  ASSERT_TRUE(worked) << worked.error().ToString();
  EXPECT_EQ(worked->size(), 1u);
  const PrepareReply reply = PrepareNow(*branch, {store().Insert("new", 1)});
  EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_EQ(reply.results.size(), 2u);
  ExpectCommits(gid, reply.vote.token);
  ExpectWritten();
}

TEST_P(ParticipantContract, AbandonedBranchIsRolledBack) {
  auto branch = participant().Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {store().Add("a", 5)}));
  branch.reset();
  // In the background: an outsider gets through in the end.
  const TimePoint deadline = TestDeadline();
  bool wrote = false;
  while (!wrote && SystemClock().Now() < deadline) wrote = store().OutsideWrite("a", 42);
  EXPECT_TRUE(wrote);
  EXPECT_EQ(store().Look("a"), 42);
}

TEST_P(ParticipantContract, BranchesOnDifferentNamesPrepareSideBySide) {
  const Gid first = NewTestGid(), second = NewTestGid();
  const PrepareReply one = PrepareNow(participant(), first, {store().Add("a", 5)});
  const PrepareReply two = PrepareNow(participant(), second, {store().Add("b", 7)});
  ASSERT_EQ(one.vote.kind, VoteKind::kYes) << one.vote.reason;
  ASSERT_EQ(two.vote.kind, VoteKind::kYes) << two.vote.reason;
  ExpectCommits(second, two.vote.token);
  ExpectCommits(first, one.vote.token);
  EXPECT_EQ(store().Look("a"), 105);
  EXPECT_EQ(store().Look("b"), 107);
}

TEST_P(ParticipantContract, ConflictingBranchVotesNoWithinItsDeadline) {
  const Gid first = NewTestGid(), second = NewTestGid();
  const PrepareReply one = PrepareNow(participant(), first, {store().Add("a", 5)});
  ASSERT_EQ(one.vote.kind, VoteKind::kYes) << one.vote.reason;
  auto branch = participant().Begin(second, TestDeadline(std::chrono::milliseconds(300)));
  const PrepareReply two = PrepareNow(*branch, {store().Add("a", 7)});
  EXPECT_TRUE(two.vote.kind == VoteKind::kNo || two.vote.kind == VoteKind::kUnknown);
  EXPECT_FALSE(two.vote.reason.empty());
  ExpectRollsBack(second, "");
  ExpectCommits(first, one.vote.token);
  EXPECT_EQ(store().Look("a"), 105);
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, PrepareAfterTheDeadlineVotesNo) {
  auto branch =
      participant().Begin(NewTestGid(), SystemClock().Now() - std::chrono::seconds(1));
  const PrepareReply reply = PrepareNow(*branch, {store().Add("a", 5)});
  EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
  EXPECT_FALSE(reply.vote.reason.empty());
  ExpectNothingWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, OnePhaseCommitWritesAtOnce) {
  auto branch = participant().Begin(NewTestGid(), TestDeadline());
  const OnePhaseReply reply =
      CommitOnePhaseNow(*branch, {store().Add("a", 5), store().Insert("new", 1)});
  EXPECT_EQ(reply.kind, OnePhaseKind::kCommitted) << reply.reason;
  EXPECT_EQ(reply.results.size(), 2u);
  ExpectWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, OnePhaseCommitOfAFailingStatementWritesNothing) {
  const ContractStore::Failing failing = store().MakeFailing();
  auto branch = participant().Begin(NewTestGid(), TestDeadline());
  const OnePhaseReply reply =
      CommitOnePhaseNow(*branch, {store().Add("a", 5), failing.statement});
  EXPECT_EQ(reply.kind, OnePhaseKind::kRolledBack);
  EXPECT_THAT(reply.reason, testing::HasSubstr(failing.reason));
  ExpectNothingWritten();
}

TEST_P(ParticipantContract, UnreachableStoreIsUnavailable) {
  const auto away = store().MakeUnreachable();
  const auto report = away->Preflight(TestDeadline());
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code(), StatusCode::kUnavailable) << report.error().ToString();
  const PrepareReply reply = PrepareNow(*away, NewTestGid(), {store().Add("a", 5)});
  EXPECT_TRUE(reply.vote.kind == VoteKind::kNo || reply.vote.kind == VoteKind::kUnknown);
  EXPECT_FALSE(reply.vote.reason.empty());
  const auto soon = [] { return TestDeadline(std::chrono::milliseconds(200)); };
  EXPECT_EQ(StartCommit(*away, NewTestGid(), "1", soon()).get().kind, AckKind::kRetry);
  EXPECT_EQ(StartRollback(*away, NewTestGid(), "", soon()).get().kind, AckKind::kRetry);
  EXPECT_FALSE(away->ListPrepared(soon()));
}

TEST_P(ParticipantContract, CommitWhileTheServerIsDownIsRetriedUntilItIsBack) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  store().KillServer();
  StartCommit(participant(), gid, token, TestDeadline(std::chrono::milliseconds(200))).get();
  ASSERT_TRUE(store().RestartServer().ok());
  ExpectCommits(gid, token);
  ExpectWritten();
}

}  // namespace indoubt

/// Runs the contract against the store that `factory` makes.
#define INDOUBT_INSTANTIATE_CONTRACT(kind, factory)                                     \
  INSTANTIATE_TEST_SUITE_P(kind, ParticipantContract,                                   \
                           testing::Values(static_cast<ContractStoreFactory>(factory)), \
                           [](const auto&) { return "store"; })
