// What a person decides on transactions in doubt, over fake participants.
#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ResolveTest : public CoordinatorFixture {
 protected:
  Result<TransactionList> Resolve(const Gid& gid, DecisionOutcome decision, bool force = false,
                                  std::optional<LogId> adopt = {},
                                  Duration patience = std::chrono::seconds(10)) {
    return coordinator_->Resolve({gid, decision, kAnn, force, std::move(adopt)}, In(patience));
  }
  Result<TransactionList> Commit(const Gid& gid) {
    return Resolve(gid, DecisionOutcome::kCommitted);
  }
  Result<TransactionList> Rollback(const Gid& gid, bool force = false) {
    return Resolve(gid, DecisionOutcome::kAborted, force);
  }
  /// The outcome of the one transaction that was returned; checks that there is one.
  static Outcome OutcomeOf(const Result<TransactionList>& list) {
    EXPECT_TRUE(list) << list.status().ToString();
    EXPECT_TRUE(list && list->transactions.size() == 1);
    return list && !list->transactions.empty() ? list->transactions[0].outcome
                                               : Outcome::kInDoubt;
  }
  Gid Orphan(uint64_t number, std::initializer_list<const char*> names) {
    const Gid gid = OwnGid(number);
    for (const char* name : names) stores_[name].prepared.insert(gid);
    return gid;
  }
  Gid Decided(uint64_t number, std::initializer_list<const char*> names) {
    const Gid gid = OwnGid(number);
    Decision decision{gid, {}};
    for (const char* name : names) {
      if (stores_.contains(name)) stores_[name].prepared.insert(gid);
      decision.branches.push_back({name, std::string("token of ") + name});
    }
    LogDecided(decision);
    return gid;
  }
  std::vector<TransactionView> Listed() {
    return coordinator_->List(In(std::chrono::seconds(5)))->transactions;
  }
};

TEST_F(ResolveTest, CommitCompletesADecisionOfTheLogAndIsNotHeuristic) {
  const Gid gid = Decided(7, {"a", "b"});
  Start();
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kCommitted);
  EXPECT_TRUE(stores_["a"].committed.contains(gid));
  EXPECT_TRUE(stores_["b"].committed.contains(gid));
  EXPECT_EQ(stores_["a"].commit_tokens[gid], "token of a");
  EXPECT_THAT(Listed(), IsEmpty());
  ASSERT_THAT(log_->OperatorDecisions(), SizeIs(1));
  EXPECT_EQ(log_->OperatorDecisions()[0].by.who, kAnn.who);
  EXPECT_EQ(Recover().heuristic, 0);
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kCommitted) << "asked again";
}

TEST_F(ResolveTest, RollbackOfAnOrphanIsThePresumedAbort) {
  const Gid gid = Orphan(7, {"a", "c"});
  Start();
  const auto list = Rollback(gid);
  EXPECT_EQ(OutcomeOf(list), Outcome::kRolledBack);
  EXPECT_THAT(list->transactions[0].note, HasSubstr(kAnn.who));
  EXPECT_THAT(list->transactions[0].note, HasSubstr(kAnn.reason));
  EXPECT_TRUE(stores_["a"].rolled_back.contains(gid));
  EXPECT_TRUE(stores_["c"].rolled_back.contains(gid));
  EXPECT_THAT(Listed(), IsEmpty());
  const auto shown = coordinator_->Show(gid, In(std::chrono::seconds(5)));
  EXPECT_EQ(OutcomeOf(shown), Outcome::kRolledBack);
  EXPECT_TRUE(shown->transactions[0].operator_decision);
}

TEST_F(ResolveTest, CommitOfAnOrphanIsHeuristicUntilItIsForgotten) {
  const Gid gid = Orphan(7, {"a", "b"});
  Start();
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kHeuristic);
  EXPECT_TRUE(stores_["a"].committed.contains(gid));
  EXPECT_TRUE(stores_["b"].committed.contains(gid));
  EXPECT_EQ(Recover().heuristic, 1);
  Restart();
  const auto listed = Listed();
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].outcome, Outcome::kHeuristic);
  ASSERT_TRUE(listed[0].operator_decision);
  EXPECT_EQ(listed[0].operator_decision->known, DecisionOutcome::kAborted);
  EXPECT_TRUE(coordinator_->Forget(gid, kAnn).ok());
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_EQ(Recover().heuristic, 0);
}

TEST_F(ResolveTest, TheRecordIsThereBeforeAnybodyIsTold) {
  const Gid gid = Orphan(7, {"a", "b"});
  Start();
  log_->FailWrites(Status(StatusCode::kIoError, "the disk is full"));
  EXPECT_FALSE(Commit(gid));
  EXPECT_FALSE(Rollback(gid));
  EXPECT_THAT(stores_["a"].commits_told, IsEmpty());
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
}

TEST_F(ResolveTest, CommitByAProcessThatDiedIsCompletedByRecovery) {
  const Gid gid = Orphan(7, {"a", "b"});
  log_->RecordOperatorDecision(
      {gid, DecisionOutcome::kCommitted, DecisionOutcome::kAborted, kAnn, {"a", "b"}},
      [](const Status&) {});
  Start();
  EXPECT_EQ(Rollback(gid).status().code(), StatusCode::kRefused) << "decided already";
  Recover();
  EXPECT_TRUE(stores_["a"].committed.contains(gid));
  EXPECT_TRUE(stores_["b"].committed.contains(gid));
}

TEST_F(ResolveTest, BranchThatTurnsUpLaterFollowsThePerson) {
  const Gid gid = Orphan(7, {"a", "b"});
  stores_["b"].down = true;
  Start();
  const auto list = Commit(gid);
  EXPECT_EQ(OutcomeOf(list), Outcome::kHeuristic);
  ASSERT_THAT(list->notices, SizeIs(1));
  EXPECT_THAT(list->notices[0], HasSubstr("b: "));
  EXPECT_EQ(coordinator_->Forget(gid, kAnn).code(), StatusCode::kRefused);
  stores_["b"].With([](FakeStore& store) { return store.down = false; });
  EXPECT_EQ(coordinator_->Forget(gid, kAnn).code(), StatusCode::kRefused);
  Recover();
  EXPECT_TRUE(stores_["b"].committed.contains(gid));
  EXPECT_TRUE(coordinator_->Forget(gid, kAnn).ok());
}

TEST_F(ResolveTest, RollbackOfADecidedCommitNeedsForceAndIsHeuristic) {
  const Gid gid = Decided(7, {"a", "b"});
  Start();
  const auto refused = Rollback(gid);
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("--force"));
  EXPECT_THAT(log_->OperatorDecisions(), IsEmpty());
  EXPECT_EQ(OutcomeOf(Rollback(gid, /*force=*/true)), Outcome::kHeuristic);
  EXPECT_TRUE(stores_["a"].rolled_back.contains(gid));
  EXPECT_TRUE(stores_["b"].rolled_back.contains(gid));
  EXPECT_THAT(log_->Unended(), IsEmpty()) << "nobody may commit it any more";
  Restart();
  EXPECT_EQ(Recover().heuristic, 1);
  EXPECT_THAT(stores_["a"].commits_told, IsEmpty());
  EXPECT_EQ(Commit(gid).status().code(), StatusCode::kRefused);
}

TEST_F(ResolveTest, ForcedRollbackStopsACommitThatIsBeingRetried) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(10000, AckKind::kRetry);
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  ASSERT_EQ(outcome.outcome, Outcome::kInDoubt);
  const Gid gid = *Gid::Parse(outcome.gid);
  EXPECT_EQ(Rollback(gid).status().code(), StatusCode::kInvalidArgument);
  stores_["a"].With([](FakeStore& store) {
    store.rollback_acks = {AckKind::kHeuristic};  // it has committed already
    return 0;
  });
  const auto list = Rollback(gid, /*force=*/true);
  EXPECT_EQ(OutcomeOf(list), Outcome::kHeuristic);
  const auto told = [&] {
    return stores_["b"].With([&](FakeStore& store) { return store.commits_told[gid]; });
  };
  const int before = told();
  stores_["b"].With([](FakeStore& store) {
    store.commit_acks.clear();
    return 0;
  });
  EXPECT_EQ(Recover().heuristic, 1);
  EXPECT_EQ(told(), before) << "told to commit after the roll back";
  ASSERT_THAT(log_->Heuristics(), SizeIs(1)) << "a was resolved against it";
  EXPECT_EQ(log_->Heuristics()[0].participant, "a");
}

TEST_F(ResolveTest, ListTellsWhatIsAtWorkFromWhatIsStuck) {
  Start();
  FakeStore& b = stores_["b"];
  std::mutex mutex;
  std::function<void()> held;  // guarded by mutex: the answer to b's commit
  b.deliver = [&](std::function<void()> answer) {
    if (b.With([](FakeStore& store) { return store.commits_told.empty(); })) return answer();
    const std::lock_guard lock(mutex);
    held = std::move(answer);
  };
  auto applied = Submit(Request({"a", "b"}));
  Await([&] {
    const std::lock_guard lock(mutex);
    return held != nullptr;
  });
  const auto listed = Listed();
  ASSERT_THAT(listed, SizeIs(1));
  EXPECT_EQ(listed[0].outcome, Outcome::kCommitted);
  EXPECT_FALSE(listed[0].IsInDoubt()) << "it is being applied";
  held();
  EXPECT_EQ(applied.get().outcome, Outcome::kCommitted);

  b.deliver = nullptr;
  b.With([](FakeStore& store) { store.commit_acks.assign(6, AckKind::kRetry); });
  auto retried = Submit(Request({"a", "b"}));
  Await([&] {
    const auto stuck = Listed();
    return stuck.size() == 1 && stuck[0].IsInDoubt();
  });
  EXPECT_EQ(retried.get().outcome, Outcome::kCommitted);
  EXPECT_THAT(Listed(), IsEmpty());
}

TEST_F(ResolveTest, TransactionUnderWayIsRefused) {
  stores_["b"].hold_prepares = true;
  Start();
  auto pending = Submit(Request({"a", "b"}));
  const Gid gid = *stores_["a"].prepared.begin();
  for (const DecisionOutcome decision :
       {DecisionOutcome::kCommitted, DecisionOutcome::kAborted}) {
    const auto refused = Resolve(gid, decision, /*force=*/true);
    EXPECT_EQ(refused.status().code(), StatusCode::kRefused);
    EXPECT_THAT(refused.status().message(), HasSubstr("under way"));
  }
  stores_["b"].AnswerHeld();
  EXPECT_EQ(pending.get().outcome, Outcome::kCommitted);
}

TEST_F(ResolveTest, BranchOfAnotherLogNeedsItsNameAndIsHeuristicEitherWay) {
  log_->Accept([](const Status&) {});
  const Gid first = {"n", LogId::Random(), 1, 1};
  const Gid second = {"n", first.log, 1, 2};
  stores_["a"].prepared = {first, second};
  Start();
  const auto refused = Commit(first);
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(),
              HasSubstr("--adopt " + std::string(first.log.text())));
  EXPECT_EQ(OutcomeOf(Resolve(first, DecisionOutcome::kCommitted, false, first.log)),
            Outcome::kHeuristic);
  EXPECT_EQ(OutcomeOf(Resolve(second, DecisionOutcome::kAborted, false, first.log)),
            Outcome::kHeuristic);
  EXPECT_THAT(stores_["a"].committed, ElementsAre(first));
  EXPECT_THAT(stores_["a"].rolled_back, ElementsAre(second));
}

TEST_F(ResolveTest, LaterIncarnationThanTheLogHasHadNeedsItsNameToo) {
  const Gid later = {"n", log_->id(), 9, 1};
  stores_["a"].prepared.insert(later);
  Start();
  EXPECT_EQ(Rollback(later).status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
}

TEST_F(ResolveTest, OtherNodesAreNeverTouched) {
  const Gid other = {"other", LogId::Random(), 1, 1};
  stores_["a"].prepared.insert(other);
  Start();
  const auto refused = Resolve(other, DecisionOutcome::kAborted, true, other.log);
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("other"));
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
}

TEST_F(ResolveTest, WhatNobodyKnowsIsNotFound) {
  Start();
  EXPECT_EQ(Rollback(OwnGid(7)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Commit(OwnGid(7)).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(coordinator_->Show(OwnGid(7), In(std::chrono::seconds(5))).status().code(),
            StatusCode::kNotFound);
  stores_["a"].With([](FakeStore& store) { return store.down = true; });
  const auto list = Rollback(OwnGid(7));
  ASSERT_TRUE(list) << list.status().ToString();
  EXPECT_THAT(list->transactions, IsEmpty());
  EXPECT_THAT(list->notices, SizeIs(1));
  EXPECT_THAT(log_->OperatorDecisions(), IsEmpty());
}

TEST_F(ResolveTest, WhatEndedIsCommittedAndCannotBeRolledBack) {
  Start();
  const Gid gid = *Gid::Parse(Execute({"a", "b"}).gid);
  Await([&] { return coordinator_->Find(gid) == LoggedState::kEnded; });
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kCommitted);
  EXPECT_EQ(Rollback(gid, /*force=*/true).status().code(), StatusCode::kRefused);
}

TEST_F(ResolveTest, CommitAtAParticipantThatIsNotConfiguredIsRefused) {
  const Gid gid = Decided(7, {"a", "gone"});
  Start();
  const auto refused = Commit(gid);
  EXPECT_EQ(refused.status().code(), StatusCode::kRefused);
  EXPECT_THAT(refused.status().message(), HasSubstr("gone"));
  EXPECT_EQ(OutcomeOf(Rollback(gid, /*force=*/true)), Outcome::kHeuristic);
  EXPECT_TRUE(stores_["a"].rolled_back.contains(gid));
}

TEST_F(ResolveTest, ParticipantThatDoesNotAnswerLeavesItInDoubt) {
  const Gid gid = Decided(7, {"a", "b"});
  stores_["b"].commit_acks.assign(10000, AckKind::kRetry);
  Start();
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kInDoubt);
  stores_["b"].With([](FakeStore& store) {
    store.commit_acks.clear();
    return 0;
  });
  EXPECT_EQ(OutcomeOf(Commit(gid)), Outcome::kCommitted);
}

}  // namespace
}  // namespace indoubt
