// The contract of a store that is reached through connections: everything of
// contract_suite.h, and the loss of any message, at any point of a transaction, between
// adapter and server. Include it instead of that one and say
//
//   INDOUBT_INSTANTIATE_CONNECTED_CONTRACT(Postgres, MakePostgresContractStore);
//
// with a factory that makes a ConnectedContractStore.
#pragma once

#include <algorithm>
#include <cstdio>
#include <future>
#include <optional>
#include <string>

#include <unistd.h>

#include "tests/participants/contract_connection_fixture.h"
#include "tests/participants/contract_coordinator.h"
#include "tests/participants/contract_suite.h"

namespace indoubt {

TEST_P(ConnectedContract, ConnectionCutAtEveryMessageUnknownIsNeverNoAndThereIsOneEffect) {
  struct Cut {
    const char* what;
    Direction direction;
    ProxyAction action;
    uint64_t after_bytes;
  };
  for (const Cut cut : {Cut{"requests lost", Direction::kToServer, ProxyAction::kCut, 0},
                        Cut{"requests torn", Direction::kToServer, ProxyAction::kCut, 7},
                        Cut{"replies lost", Direction::kToClient, ProxyAction::kCut, 0},
                        Cut{"replies torn", Direction::kToClient, ProxyAction::kReset, 1}}) {
    SCOPED_TRACE(cut.what);
    const int struck = ForEachMessage(
        {.direction = cut.direction, .action = cut.action, .after_bytes = cut.after_bytes},
        [&](Step step, const ProxyTrigger& trigger) {
          ContractTransaction transaction(store(), step);
          transaction.BringTo(proxied());
          proxy().Arm(trigger);
          const Told told = transaction.Take(proxied(), TestDeadline(kAmple));
          const bool happened = proxy().strike().has_value();
          proxy().Heal();
          ExpectTrueAlready(told, step);
          ExpectSettled(transaction.Settle(told, proxied()));
          return happened;
        });
    std::printf("contract: %d %s\n", struck, cut.what);
    EXPECT_GE(struck, 5) << "fewer than one for each step";
    if (HasFailure()) return;
  }
}

TEST_P(ConnectedContract, ListIsWholeOrAnErrorWhenItsConnectionIsCut) {
  StartOver();
  for (const char* name : {"n1", "n2"}) {
    const PrepareReply reply =
        PrepareNow(participant(), NewTestGid(), {store().Insert(name, 1)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  }
  int errors = 0;
  for (const Direction direction : {Direction::kToServer, Direction::kToClient}) {
    for (const uint64_t let_through : {0, 1, 40}) {
      for (uint64_t turn = 1;; ++turn) {
        ReplaceProxied();
        proxy().Arm({.direction = direction, .turn = turn, .after_bytes = let_through});
        const auto listed = proxied().ListPrepared(TestDeadline(kAmple));
        const bool happened = proxy().strike().has_value();
        proxy().Heal();
        if (listed) {
          EXPECT_EQ(listed->size(), 2u) << "a shorter list presumes an abort";
        }
        if (!listed) {
          EXPECT_FALSE(listed.error().message().empty());
        }
        if (!happened) break;
        errors += listed ? 0 : 1;
        const auto again = proxied().ListPrepared(TestDeadline(kAmple));
        ASSERT_TRUE(again) << again.error().ToString();
        EXPECT_EQ(again->size(), 2u);
      }
    }
  }
  EXPECT_GT(errors, 0);
}

TEST_P(ConnectedContract, HalfOpenConnectionsEndByTheDeadlineAndOthersGoOn) {
  constexpr auto kShort = std::chrono::milliseconds(400);
  Duration longest{};
  const Round round = [&](Step step, const ProxyTrigger& trigger) {
    ContractTransaction transaction(store(), step);
    transaction.BringTo(proxied());
    proxy().Arm(trigger);
    const TimePoint began = SystemClock().Now();
    const Told told = transaction.Take(proxied(), TestDeadline(kShort));
    longest = std::max(longest, SystemClock().Now() - began);
    const bool happened = proxy().strike().has_value();
    if (!happened) proxy().Heal();
    ExpectTrueAlready(told, step);
    // The silent connection is still there; whoever comes now goes past it.
    const Gid other = NewTestGid();
    const PrepareReply reply = PrepareNow(proxied(), other, {store().Add("b", 1)});
    EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    EXPECT_EQ(CommitNow(proxied(), other, reply.vote.token).kind, AckKind::kDone);
    proxy().Heal();
    ExpectSettled(transaction.Settle(told, proxied()));
    return happened;
  };
  const int struck = ForEachMessageBothWays(ProxyAction::kHalfOpen, round);
  std::printf("contract: %d messages of half-open connections, the longest wait %lld ms\n",
              struck,
              static_cast<long long>(
                  std::chrono::duration_cast<std::chrono::milliseconds>(longest).count()));
  EXPECT_GE(struck, 10);
  EXPECT_LT(longest, kShort + std::chrono::seconds(8));
}

TEST_P(ConnectedContract, ServerKilledAtEveryMessage) {
  const Round round = [&](Step step, const ProxyTrigger& trigger) {
    ContractTransaction transaction(store(), step);
    transaction.BringTo(proxied());
    proxy().Arm(trigger);
    std::future<Told> taken = std::async(
        std::launch::async, [&] { return transaction.Take(proxied(), TestDeadline(kAmple)); });
    const bool happened = AwaitStrikeOrEnd(taken);
    if (happened) store().KillServer();
    proxy().Heal();
    if (happened) {
      EXPECT_TRUE(store().RestartServer().ok());
    }
    const Told told = taken.get();
    ReplaceParticipant();
    ExpectTrueAlready(told, step);
    ExpectSettled(transaction.Settle(told, proxied()));
    return happened;
  };
  const int struck = ForEachMessageBothWays(ProxyAction::kHold, round);
  std::printf("contract: the server killed at %d messages\n", struck);
  EXPECT_GE(struck, 10);
}

TEST_P(ConnectedContract, CoordinatorKilledAtEveryMessage) {
  const Round round = [&](Step step, const ProxyTrigger& trigger) {
    ContractTransaction transaction(store(), step);
    transaction.BringTo(participant());
    EndProxied();
    EndParticipant();
    proxy().Arm(trigger);
    DoomedProcess coordinator([&](int ended) {
      const auto own = connected().MakeProxied();
      transaction.Take(*own, TestDeadline(kAmple));
      [[maybe_unused]] const ssize_t one = write(ended, "!", 1);
    });
    const bool either = Eventually([&] {
      return proxy().strike() || coordinator.AwaitWritten(std::chrono::milliseconds(1));
    });
    EXPECT_TRUE(either) << "a step without an end";
    const bool happened = proxy().strike().has_value();
    coordinator.Kill();
    proxy().Heal();
    // What it had sent arrives, and the server is done with it.
    EXPECT_TRUE(Eventually([&] { return proxy().connections() == 0; }));
    ReplaceParticipant();
    if (step == Step::kWorkAndPrepare || step == Step::kPrepareAtOnce) {
      RollBackOrphans(participant());  // no decision: presumed abort
    }
    ExpectSettled(transaction.Settle(std::nullopt, participant()));
    return happened;
  };
  const int struck = ForEachMessageBothWays(ProxyAction::kHold, round);
  std::printf("contract: the coordinator killed at %d messages\n", struck);
  EXPECT_GE(struck, 10);
}

TEST_P(ConnectedContract, PrepareThatArrivesAfterTheAbortIsFoundByAnOrphanScan) {
  int struck = 0;
  for (const Step step : {Step::kWorkAndPrepare, Step::kPrepareAtOnce}) {
    for (uint64_t turn = 1;; ++turn) {
      SCOPED_TRACE(std::string(ToString(step)) + ", request " + std::to_string(turn));
      StartOver();
      if (HasFatalFailure()) return;
      ContractTransaction transaction(store(), step);
      proxy().Arm(
          {.direction = Direction::kToServer, .action = ProxyAction::kHold, .turn = turn});
      const Told told =
          transaction.Take(proxied(), TestDeadline(std::chrono::milliseconds(300)));
      if (!proxy().strike()) break;
      if (told.vote->kind == VoteKind::kYes) {
        // What was held came behind the vote, to clean a session: it is prepared.
        EXPECT_FALSE(Listed().empty());
      } else {
        ++struck;
      }
      // The abort overtakes it, on a connection of its own.
      StartRollback(proxied(), transaction.gid(), "", TestDeadline(std::chrono::seconds(1)))
          .get();
      EndProxied();
      proxy().Release();
      EXPECT_TRUE(Eventually([&] { return proxy().connections() == 0; }));
      if (told.vote->kind == VoteKind::kNo) {
        EXPECT_TRUE(Listed().empty());
      }
      RollBackOrphans(participant());
      ExpectSettled(false);
    }
  }
  std::printf("contract: %d requests that arrived after the abort\n", struck);
  EXPECT_GE(struck, 2);
}

TEST_P(ConnectedContract, OneByteSlicesAndJitterChangeNothing) {
  for (const LinkConditions& conditions :
       {LinkConditions{.slice = 1}, LinkConditions{.latency = std::chrono::microseconds(200),
                                    .jitter = std::chrono::milliseconds(2),
                                    .slice = 100}}) {
    for (const Step step : kAllSteps) {
      SCOPED_TRACE(ToString(step));
      StartOver();
      if (HasFatalFailure()) return;
      for (const Direction direction : {Direction::kToServer, Direction::kToClient}) {
        proxy().SetConditions(direction, conditions);
      }
      ContractTransaction transaction(store(), step);
      transaction.BringTo(proxied());
      const Told told = transaction.Take(proxied(), TestDeadline());
      if (told.vote) {
        EXPECT_EQ(told.vote->kind, VoteKind::kYes) << told.vote->reason;
      }
      if (told.ack) {
        EXPECT_EQ(told.ack->kind, AckKind::kDone) << told.ack->reason;
      }
      if (told.one_phase) {
        EXPECT_EQ(told.one_phase->kind, OnePhaseKind::kCommitted);
      }
      ExpectTrueAlready(told, step);
      ExpectSettled(transaction.Settle(told, proxied()));
      ASSERT_TRUE(proxied().ListPrepared(TestDeadline()));
    }
  }
}

TEST_P(ConnectedContract, APartitionIsUnavailableAndEndsWhenItHeals) {
  StartOver();
  const Gid gid = NewTestGid();
  const PrepareReply reply =
      PrepareNow(proxied(), gid, {store().Add("a", 5), store().Insert("new", 1)});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  proxy().Refuse(true);
  proxy().StrikeAll(ProxyAction::kCut);
  const auto soon = [] { return TestDeadline(std::chrono::milliseconds(300)); };
  EXPECT_EQ(StartCommit(proxied(), gid, reply.vote.token, soon()).get().kind, AckKind::kRetry);
  EXPECT_FALSE(proxied().ListPrepared(soon()));
  EXPECT_EQ(Listed().size(), 1u) << "in doubt, and visible past the partition";
  auto branch = proxied().Begin(NewTestGid(), soon());
  EXPECT_EQ(PrepareNow(*branch, {store().Add("b", 5)}).vote.kind, VoteKind::kNo);
  proxy().Heal();
  EXPECT_EQ(CommitNow(proxied(), gid, reply.vote.token).kind, AckKind::kDone);
  ExpectSettled(true);
}

}  // namespace indoubt

/// Runs both parts of the contract against the store that `factory` makes.
#define INDOUBT_INSTANTIATE_CONNECTED_CONTRACT(kind, factory)                           \
  INDOUBT_INSTANTIATE_CONTRACT(kind, factory);                                          \
  INSTANTIATE_TEST_SUITE_P(kind, ConnectedContract,                                     \
                           testing::Values(static_cast<ContractStoreFactory>(factory)), \
                           [](const auto&) { return "store"; })
