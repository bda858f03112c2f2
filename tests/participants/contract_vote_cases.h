// The contract up to the vote: work, what makes a no, and what a no leaves behind.
#pragma once

#include <random>
#include <string>

#include "base/text.h"
#include "tests/participants/contract_fixture.h"

namespace indoubt {

TEST_P(ParticipantContract, PreflightFindsNoProblem) {
  const auto report = participant().Preflight(TestDeadline());
  ASSERT_TRUE(report) << report.error().ToString();
  EXPECT_THAT(report->problems, testing::IsEmpty());
  EXPECT_THAT(report->version, testing::Not(testing::IsEmpty()));
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

TEST_P(ParticipantContract, HostileStatementsVoteNoInOneLineAndTheParticipantGoesOn) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::string noise(300, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  const std::string cut = store().Add("a", 5).text;
  const std::string huge(10 << 20, 'x');
  for (const std::string& text :
       {std::string(), std::string(1, '\0'), std::string("\xff\xfe\x80"),
        std::string("'\n\"\n"), noise, cut + '\0' + "x", huge, "'" + huge}) {
    SCOPED_TRACE("a statement of " + std::to_string(text.size()) + " bytes");
    const PrepareReply reply =
        PrepareNow(participant(), NewTestGid(), {store().Add("a", 5), {text, {}, {}}});
    EXPECT_EQ(reply.vote.kind, VoteKind::kNo);
    EXPECT_FALSE(reply.vote.reason.empty());
    EXPECT_LT(reply.vote.reason.size(), 4096u);
    EXPECT_TRUE(IsUtf8(reply.vote.reason));
    EXPECT_EQ(reply.vote.reason.find_first_of(std::string("\n\r\0", 3)), std::string::npos);
  }
  ExpectNothingWritten();
  ExpectNothingPrepared();
  const Gid gid = NewTestGid();
  ExpectCommits(gid, Vote(gid));
  ExpectWritten();
}

TEST_P(ParticipantContract, ABranchMayGoWithinItsCallback) {
  const auto begin = [this](const Gid& gid) {
    return participant().Begin(gid, TestDeadline());
  };
  const auto prepare = [&](const Gid& gid, std::vector<Statement> last) {
    return CallAndLetGo<PrepareReply>(begin(gid), &Branch::Prepare, std::move(last));
  };
  const auto work = [&](std::vector<Statement> statements) {
    return CallAndLetGo<Result<std::vector<StatementResult>>>(
        begin(NewTestGid()), &Branch::Work, std::move(statements));
  };
  const auto commit = [&](std::vector<Statement> last) {
    return CallAndLetGo<OnePhaseReply>(begin(NewTestGid()), &Branch::CommitOnePhase,
                                       std::move(last));
  };
  const Statement add = store().Add("a", 5);
  const ContractStore::Failing failing = store().MakeFailing();
  // With a yes vote it stays prepared; with anything else nothing of it stays.
  const Gid gid = NewTestGid();
  const PrepareReply yes = prepare(gid, {add, store().Insert("new", 1)});
  ASSERT_EQ(yes.vote.kind, VoteKind::kYes) << yes.vote.reason;
  ExpectCommits(gid, yes.vote.token);
  EXPECT_EQ(prepare(NewTestGid(), {add, failing.statement}).vote.kind, VoteKind::kNo);
  EXPECT_TRUE(work({add}));
  EXPECT_FALSE(work({add, failing.statement}));
  EXPECT_EQ(commit({add, failing.statement}).kind, OnePhaseKind::kRolledBack);
  ExpectWritten();
  ExpectNothingPrepared();
  ExpectNoLockLeft();
  EXPECT_EQ(commit({store().Add("b", 5)}).kind, OnePhaseKind::kCommitted);
  EXPECT_EQ(store().Look("b"), 105);
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

TEST_P(ParticipantContract, AbandonedWithoutWorkIsNothing) {
  participant().Begin(NewTestGid(), TestDeadline()).reset();
  ExpectNothingPrepared();
  ExpectNoLockLeft();
}

TEST_P(ParticipantContract, ABranchSeesItsOwnWrites) {
  const Gid gid = NewTestGid();
  auto branch = participant().Begin(gid, TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {store().Insert("new", 41)}));
  ASSERT_TRUE(WorkNow(*branch, {store().Add("new", 1)}));
  EXPECT_EQ(store().Look("new"), std::nullopt) << "an outsider sees work before the commit";
  const PrepareReply reply = PrepareNow(*branch, {store().Add("new", 1)});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  ExpectCommits(gid, reply.vote.token);
  EXPECT_EQ(store().Look("new"), 43);
}

TEST_P(ParticipantContract, SecondConflictingBranchIsRefusedAlsoAfterACrash) {
  const Gid first = NewTestGid();
  const Token token = VoteThenKill(first);
  ReplaceParticipant();
  for (const Statement& statement : {store().Add("a", 7), store().Insert("new", 7)}) {
    const Gid second = NewTestGid();
    auto branch = participant().Begin(second, TestDeadline(std::chrono::milliseconds(300)));
    const PrepareReply reply = PrepareNow(*branch, {statement});
    EXPECT_TRUE(reply.vote.kind == VoteKind::kNo || reply.vote.kind == VoteKind::kUnknown);
    ExpectRollsBack(second, "");
  }
  ExpectCommits(first, token);
  ExpectWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, PrepareAfterTheAbortLeavesNothingThatAnOrphanScanDoesNotFind) {
  const Gid gid = NewTestGid();
  ExpectRollsBack(gid, "");
  const PrepareReply late =
      PrepareNow(participant(), gid, {store().Add("a", 5), store().Insert("new", 1)});
  EXPECT_TRUE(late.vote.kind == VoteKind::kYes || late.vote.kind == VoteKind::kNo);
  const auto listed = Listed();
  EXPECT_EQ(listed.size(), late.vote.kind == VoteKind::kYes ? 1u : 0u);
  for (const PreparedBranch& branch : listed) {
    EXPECT_EQ(branch.id.gid, gid);
    ExpectRollsBack(branch.id.gid, branch.token);
  }
  ExpectNothingWritten();
  ExpectNothingPrepared();
  ExpectNoLockLeft();
}

}  // namespace indoubt
