// The contract over crashes: of the server, of the coordinator, of both, again and again. Of a
// store without a server the process that has its data open is killed.
#pragma once

#include <functional>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/participants/contract_coordinator.h"
#include "tests/participants/contract_fixture.h"

namespace indoubt {

TEST_P(ParticipantContract, YesVoteSurvivesAKillOfTheServer) {
  const Gid gid = NewTestGid();
  const Token token = VoteThenKill(gid);
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
  VoteThenKill(gid);
  ReplaceParticipant();
  const auto listed = participant().ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  ASSERT_EQ(listed->size(), 1u);
  ExpectRollsBack(listed->front().id.gid, listed->front().token);
  ExpectNothingWritten();
  ExpectNothingPrepared();
}

TEST_P(ParticipantContract, CommitWhileTheServerIsDownIsRetriedUntilItIsBack) {
  if (!NeedsServer()) GTEST_SKIP() << "not applicable: no server";
  const Gid gid = NewTestGid();
  const Token token = Vote(gid);
  store().KillServer();
  const auto soon = [] { return TestDeadline(std::chrono::milliseconds(200)); };
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Ack ack = StartCommit(participant(), gid, token, soon()).get();
    EXPECT_EQ(ack.kind, AckKind::kRetry) << "nobody can know: " << ack.reason;
    EXPECT_FALSE(ack.reason.empty());
  }
  EXPECT_FALSE(participant().ListPrepared(soon())) << "a list without a server";
  ASSERT_TRUE(store().RestartServer().ok());
  ExpectNothingWritten();
  ExpectCommits(gid, token);
  ExpectWritten();
}

TEST_P(ParticipantContract, EverythingInDoubtSurvivesRestartAfterRestart) {
  constexpr int kBranches = 20;
  std::vector<Gid> gids(kBranches);
  for (Gid& gid : gids) gid = NewTestGid();
  const auto prepare_all = [&](Participant& own) {
    std::string votes;
    for (int i = 0; i < kBranches; ++i) {
      const PrepareReply reply = PrepareNow(own, gids.at(static_cast<size_t>(i)),
                                            {store().Insert("n" + std::to_string(i), i)});
      if (reply.vote.kind != VoteKind::kYes) return reply.vote.reason;
      votes += ToHex(reply.vote.token) + "\n";
    }
    return votes;
  };
  const auto look = [](Participant& own) {
    const auto listed = own.ListPrepared(TestDeadline());
    return listed ? std::to_string(listed->size()) : listed.error().ToString();
  };
  std::map<Gid, Token> in_doubt;
  for (int restart = 0; restart < 3; ++restart) {
    if (restart == 0) {
      std::istringstream votes(ThenKill(prepare_all));
      std::string token;
      for (const Gid& gid : gids) {
        ASSERT_TRUE(std::getline(votes, token)) << votes.str();
        in_doubt[gid] = FromHex(token);
      }
    } else {
      EXPECT_EQ(ThenKill(look), std::to_string(kBranches));
    }
    ReplaceParticipant();
    std::set<Gid> listed;
    for (const PreparedBranch& branch : Listed()) listed.insert(branch.id.gid);
    EXPECT_EQ(listed.size(), in_doubt.size());
    for (const auto& [gid, token] : in_doubt) EXPECT_TRUE(listed.contains(gid));
    EXPECT_FALSE(store().OutsideWrite("n7", 1)) << "restart " << restart;
    EXPECT_EQ(store().Look("n7"), std::nullopt);
  }
  int number = 0;
  for (const auto& [gid, token] : in_doubt) {
    const bool commits = number % 2 == 0;
    const std::string told = ThenKill([&, &gid = gid, &token = token](Participant& own) {
      const Ack ack = commits ? CommitNow(own, gid, token) : RollbackNow(own, gid, token);
      return ack.kind == AckKind::kDone ? "done" : "not done: " + ack.reason;
    });
    EXPECT_EQ(told, "done");  // what was told is told for good
    if (++number == 4) break;
  }
  number = 0;
  for (const auto& [gid, token] : in_doubt) {
    if (number % 2 == 0) ExpectCommits(gid, token);
    if (number % 2 == 1) ExpectRollsBack(gid, token);
    ++number;
  }
  ExpectNothingPrepared();
  for (int i = 0; i < kBranches; ++i) {
    const auto held = store().Look("n" + std::to_string(i));
    EXPECT_EQ(held, i % 2 == 0 ? std::optional<int64_t>(i) : std::nullopt);
  }
}

/// Rolls back whatever is prepared and `orphaned` says nobody will decide. A server may still
/// prepare what a dead client sent: the next scan finds it. Whether there was none.
inline bool RollBackOnce(Participant& participant,
                         const std::function<bool(const Gid&)>& orphaned) {
  const auto listed = participant.ListPrepared(TestDeadline());
  EXPECT_TRUE(listed) << listed.error().ToString();
  bool none = true;
  if (!listed) return none;
  for (const PreparedBranch& branch : *listed) {
    if (!orphaned(branch.id.gid)) continue;
    none = false;
    const Ack ack = RollbackNow(participant, branch.id.gid, branch.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }
  return none;
}

/// The same until a scan finds none, whoever began it.
inline void RollBackOrphans(Participant& participant) {
  EXPECT_TRUE(
      Eventually([&] { return RollBackOnce(participant, [](const Gid&) { return true; }); }));
}

TEST_P(ParticipantContract, CoordinatorKilledAtAnyMomentLeavesOnlyWhatRecoveryCanSettle) {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  constexpr int kRounds = 25;
  constexpr std::chrono::milliseconds kLook{500};
  int64_t committed = 0;
  int in_doubt = 0;
  std::set<Gid> begun;
  EndParticipant();  // nothing of the store is open here when the child is made
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " round " + std::to_string(round));
    DoomedCoordinator coordinator(store(), round + 1);
    ReplaceParticipant();
    // On a busy machine few get far within the time below. What the last one sent may be
    // prepared only now, by a server that was not run until now, and hold this one's row.
    ASSERT_TRUE(Eventually([&] {
      RollBackOnce(participant(), [&](const Gid& gid) { return begun.contains(gid); });
      return round % 5 == 0 ? coordinator.AwaitFirstDecision(kLook)
                            : coordinator.AwaitFirstTransaction(kLook);
    }));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    const DoomedCoordinator::Log log = coordinator.Kill();
    begun.insert(log.begun.begin(), log.begun.end());
    ReplaceParticipant();
    for (const PreparedBranch& branch : Listed()) {
      ++in_doubt;
      EXPECT_TRUE(begun.contains(branch.id.gid)) << "nobody began it";
      const auto decision = log.committed.find(branch.id.gid);
      if (decision == log.committed.end()) ExpectRollsBack(branch.id.gid, branch.token);
    }
    // Whatever the store knows of it: a commit that stands is told until it is done.
    for (const auto& [gid, token] : log.committed) ExpectCommits(gid, token);
    for (const auto& [gid, token] : log.committed) participant().Forget(gid);
    committed += static_cast<int64_t>(log.committed.size());
    EXPECT_EQ(store().Look("a"), 100 + committed);
    RollBackOrphans(participant());
    EndParticipant();
    if (HasFailure()) return;
  }
  ReplaceParticipant();
  std::printf("contract: %d kills of the coordinator, %d branches in doubt, %lld commits\n",
              kRounds, in_doubt, static_cast<long long>(committed));
  EXPECT_GT(committed, 0);
  EXPECT_TRUE(Eventually([&] {
    RollBackOrphans(participant());
    return store().OutsideWrite("a", 1);
  })) << "a lock was left behind";
}

}  // namespace indoubt
