// The contract after the vote: commit and roll back, said once, twice, in any order, and
// what everybody else is allowed meanwhile.
#pragma once

#include <algorithm>
#include <future>
#include <map>
#include <string>
#include <vector>

#include "tests/participants/contract_fixture.h"

namespace indoubt {

TEST_P(ParticipantContract, CommitMakesThePreparedWorkVisible) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ExpectNothingWritten();
  ExpectCommits(gid, token);
  ExpectWritten();
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

// A store that needs no outcome records lists none, ever.
TEST_P(ParticipantContract, OutcomeRecordsAreListedUntilTheyAreForgotten) {
  const Gid gid = NewTestGid();
  ExpectCommits(gid, Vote(gid));
  ReplaceParticipant();
  const auto lists = [&](std::string_view node) {
    const auto listed = participant().ListOutcomes(node, TestDeadline());
    EXPECT_TRUE(listed) << listed.status().ToString();
    return listed && std::find(listed->begin(), listed->end(), gid) != listed->end();
  };
  EXPECT_EQ(lists(gid.node.view()), store().KeepsOutcomes());
  EXPECT_FALSE(lists("another"));
  participant().Forget(gid);
  EXPECT_TRUE(Eventually([&] { return !lists(gid.node.view()); }));
  ExpectWritten();
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

TEST_P(ParticipantContract, CommitTenTimesAtOnceIsOneCommit) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  std::vector<std::future<Ack>> acks;
  for (int i = 0; i < 10; ++i) {
    acks.push_back(StartCommit(participant(), gid, token, TestDeadline()));
  }
  int done = 0;
  for (auto& answer : acks) {
    const Ack ack = answer.get();
    EXPECT_NE(ack.kind, AckKind::kHeuristic) << ack.reason;
    done += ack.kind == AckKind::kDone ? 1 : 0;
  }
  EXPECT_GE(done, 1);
  ExpectCommits(gid, token);
  ExpectWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, CommitOfWhatSomebodyRolledBackIsHeuristic) {
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  ExpectRollsBack(gid, token);
  for (int i = 0; i < 3; ++i) {
    const Ack ack = CommitNow(participant(), gid, token);
    EXPECT_EQ(ack.kind, AckKind::kHeuristic) << ack.reason;
    EXPECT_FALSE(ack.reason.empty());
    ReplaceParticipant();
  }
  ExpectNothingWritten();
}

TEST_P(ParticipantContract, TheNextTransactionOnTheSameRowsFollowsTheCommitOfTheFirst) {
  for (int i = 1; i <= 5; ++i) {
    const Gid gid = NewTestGid();
    const PrepareReply reply = PrepareNow(participant(), gid, {store().Add("a", 1)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    ExpectCommits(gid, reply.vote.token);
    EXPECT_EQ(store().Look("a"), 100 + i);
  }
}

TEST_P(ParticipantContract, ListTellsOfOtherNodesLogsAndParticipantsAndNobodyTouchesThem) {
  const auto named = store().MakeNamed("other");
  Gid other_node = NewTestGid(), other_log = NewTestGid();
  other_node.node = "elsewhere";
  other_log.log = LogId::Random();
  const Gid ours = NewTestGid(), other_name = NewTestGid();
  std::vector<BranchId> expected;
  std::map<Gid, Token> tokens;
  int number = 0;
  for (const Gid& gid : {other_node, other_log, ours, other_name}) {
    Participant& through = gid == other_name ? *named : participant();
    const PrepareReply reply =
        PrepareNow(through, gid, {store().Insert("n" + std::to_string(++number), 1)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    expected.push_back({gid, through.name()});
    tokens[gid] = reply.vote.token;
  }
  ReplaceParticipant();
  std::vector<BranchId> listed;
  for (const PreparedBranch& branch : Listed()) listed.push_back(branch.id);
  EXPECT_THAT(listed, testing::UnorderedElementsAreArray(expected));
  // Ending ours ends nothing else, and a branch answers to its own participant only.
  ExpectCommits(ours, tokens[ours]);
  ExpectRollsBack(other_name, "");
  EXPECT_EQ(Listed().size(), 3u);
  EXPECT_EQ(RollbackNow(*named, other_name, tokens[other_name]).kind, AckKind::kDone);
  ExpectRollsBack(other_node, tokens[other_node]);
  ExpectRollsBack(other_log, tokens[other_log]);
  ExpectNothingPrepared();
}

}  // namespace indoubt
