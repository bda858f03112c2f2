// The recovery pass of the live coordinator, over fake participants.
#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RecoveryTest : public CoordinatorFixture {
 protected:
  /// A commit that was decided by an earlier process and applied nowhere.
  Gid Decided(std::initializer_list<const char*> names) {
    const Gid gid = OwnGid(++number_);
    Decision decision{gid, {}};
    for (const char* name : names) {
      if (stores_.contains(name)) stores_[name].prepared.insert(gid);
      decision.branches.push_back({name, std::string("token of ") + name});
    }
    LogDecided(decision);
    return gid;
  }
  uint64_t number_ = 1000;
};

TEST_F(RecoveryTest, CommitsWhatIsInTheLogAndRollsBackWhatIsNot) {
  const Gid decided = Decided({"a", "b"});
  const Gid orphan = OwnGid(7);
  stores_["a"].prepared.insert(orphan);
  stores_["c"].prepared.insert(orphan);
  Start();
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.committed, 1);
  EXPECT_EQ(report.rolled_back, 1);
  EXPECT_EQ(report.in_doubt, 0);
  EXPECT_TRUE(stores_["b"].committed.contains(decided));
  EXPECT_TRUE(stores_["c"].rolled_back.contains(orphan));
  EXPECT_EQ(coordinator_->Find(decided), LoggedState::kEnded);
  const RecoveryReport again = Recover();
  EXPECT_THAT(again.transactions, IsEmpty()) << "a second pass changes nothing";
}

TEST_F(RecoveryTest, BackgroundPassRunsAtTheStart) {
  options_.recovery_interval = std::chrono::milliseconds(5);
  const Gid decided = Decided({"a", "b"});
  Start();
  Await([&] { return coordinator_->Find(decided) == LoggedState::kEnded; });
  const Gid late = {"n", log_->id(), 1, 99};  // a prepare that arrives after its abort
  stores_["b"].With([&](FakeStore& store) { return store.prepared.insert(late).second; });
  Await([&] {
    return stores_["b"].With([&](FakeStore& s) { return s.rolled_back.contains(late); });
  });
}

TEST_F(RecoveryTest, OutcomesThatAKilledProcessLeftAreForgotten) {
  log_opened_ = true;  // the next one is of a later incarnation
  const Gid ended = OwnGid(1), unknown = OwnGid(2), other = {"n", LogId::Random(), 1, 1};
  LogDecided({ended, {{"a", "token"}, {"b", "token"}}});
  log_->End(ended);
  stores_["a"].kept = {ended, unknown, other};
  stores_["b"].kept = {ended};
  stores_["b"].down = true;
  Start();
  Recover();
  EXPECT_THAT(stores_["a"].kept, ElementsAre(other)) << "another log's";
  EXPECT_THAT(stores_["b"].kept, ElementsAre(ended));
  stores_["b"].down = false;
  Recover();
  EXPECT_THAT(stores_["b"].kept, IsEmpty());
}

TEST_F(RecoveryTest, OutcomesThatMayStillBeAskedForAreKept) {
  log_opened_ = true;
  const Gid unended = Decided({"a", "b"});
  const Gid heuristic = OwnGid(3), later = {"n", log_->id(), 9, 1};
  LogDecided({heuristic, {{"a", "token"}, {"b", "token"}}});
  log_->RecordHeuristic(
      {heuristic, "b", DecisionOutcome::kCommitted, "by hand", "2026-01-01T00:00:00Z"},
      [](const Status&) {});
  log_->End(heuristic);
  stores_["a"].prepared.erase(unended);
  stores_["a"].kept = {unended, heuristic, later};
  stores_["b"].kept = {heuristic};
  stores_["b"].commit_acks = {AckKind::kRetry, AckKind::kRetry, AckKind::kRetry};
  Start();
  Recover();
  EXPECT_FALSE(stores_["a"].kept.contains(heuristic)) << "heuristic at b only";
  EXPECT_TRUE(stores_["b"].kept.contains(heuristic));
  EXPECT_TRUE(stores_["a"].kept.contains(unended)) << "its end record may not be durable";
  EXPECT_TRUE(stores_["a"].kept.contains(later));
}

TEST_F(RecoveryTest, ActiveTransactionsAreLeftAlone) {
  stores_["b"].hold_prepares = true;
  Start();
  auto pending = Submit(Request({"a", "b"}));
  EXPECT_EQ(stores_["a"].prepared.size(), 1u);
  EXPECT_THAT(Recover().transactions, IsEmpty());
  stores_["b"].AnswerHeld();
  EXPECT_EQ(pending.get().outcome, Outcome::kCommitted);
}

TEST_F(RecoveryTest, BranchThatIsGoneAtTheSecondListingIsLeftAlone) {
  const Gid passing = OwnGid(5);
  stores_["a"].prepared.insert(passing);
  Start();
  stores_["a"].on_list = [&] {
    stores_["a"].With([&](FakeStore& store) { return store.prepared.erase(passing); });
  };
  EXPECT_THAT(Recover().transactions, IsEmpty());
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
}

TEST_F(RecoveryTest, OtherNodesAreNeverTouched) {
  const Gid other = {"other", LogId::Random(), 1, 1};
  stores_["a"].prepared.insert(other);
  Start();
  const RecoveryReport report = Recover(other.log);
  EXPECT_THAT(report.transactions, IsEmpty());
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
  EXPECT_THAT(coordinator_->List(In(std::chrono::seconds(5)))->transactions, IsEmpty());
}

TEST_F(RecoveryTest, ClonedConfigurationIsReportedAndUntouchedUntilAdopted) {
  log_->Accept([](const Status&) {});
  const Gid cloned = {"n", LogId::Random(), 1, 1};
  stores_["a"].prepared.insert(cloned);
  Start();
  const RecoveryReport report = Recover();
  EXPECT_THAT(report.transactions, IsEmpty());
  ASSERT_THAT(report.notices, SizeIs(1));
  EXPECT_THAT(report.notices[0], HasSubstr(cloned.log.text()));
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
  EXPECT_EQ(Recover(cloned.log).rolled_back, 1);
  EXPECT_THAT(stores_["a"].prepared, IsEmpty());
}

TEST_F(RecoveryTest, NewLogBesideBranchesOfThisNodeIsRefused) {
  const Gid lost = {"n", LogId::Random(), 4, 1};
  stores_["a"].prepared.insert(lost);
  const auto started = TryStart();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), StatusCode::kRefused);
  EXPECT_THAT(started.error().message(), HasSubstr(lost.ToString()));
}

TEST_F(RecoveryTest, NewLogIsRefusedAtEveryStartUntilItIsAccepted) {
  stores_["a"].prepared.insert({"n", LogId::Random(), 4, 1});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(TryStart().error().code(), StatusCode::kRefused);
  options_.empty_log = EmptyLog::kLookOnly;
  Start();
  EXPECT_FALSE(coordinator_->accepted_empty_log());
  coordinator_.reset();
  options_.empty_log = EmptyLog::kRefuse;
  EXPECT_EQ(TryStart().error().code(), StatusCode::kRefused) << "looking accepted it";
  options_.empty_log = EmptyLog::kAccept;
  Start();
  EXPECT_TRUE(coordinator_->accepted_empty_log());
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
  options_.empty_log = EmptyLog::kRefuse;
  Restart();
  EXPECT_FALSE(coordinator_->accepted_empty_log());
}

TEST_F(RecoveryTest, LogWithADecisionOfItsOwnNeedsNoAcceptance) {
  Start();
  ASSERT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted);
  stores_["a"].prepared.insert({"n", LogId::Random(), 4, 1});
  Restart();
  EXPECT_THAT(Recover().notices, SizeIs(1));
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
}

TEST_F(RecoveryTest, ParticipantThatIsDownLeavesItsBranchInDoubtVisibly) {
  const Gid decided = Decided({"a", "b"});
  stores_["b"].down = true;
  Start();
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.in_doubt, 1);
  EXPECT_THAT(report.unreachable, testing::ElementsAre("b"));
  EXPECT_TRUE(stores_["a"].committed.contains(decided));
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_THAT(list->transactions, SizeIs(1));
  EXPECT_EQ(list->transactions[0].gid, decided.ToString());
  stores_["b"].With([](FakeStore& store) { return store.down = false; });
  EXPECT_EQ(Recover().in_doubt, 0);
  EXPECT_TRUE(stores_["b"].committed.contains(decided));
}

TEST_F(RecoveryTest, ParticipantThatGoesDownBetweenTheListingsIsReported) {
  stores_["a"].prepared.insert(OwnGid(7));
  Start();
  stores_["a"].on_list = [&] {
    stores_["a"].With([](FakeStore& store) { return store.down = true; });
  };
  const RecoveryReport report = Recover();
  EXPECT_THAT(report.unreachable, testing::ElementsAre("a"));
  ASSERT_THAT(report.notices, SizeIs(1));
  EXPECT_THAT(report.notices[0], HasSubstr("cannot list"));
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
}

TEST_F(RecoveryTest, RecordOfAnUnconfiguredParticipantStaysInDoubtVisibly) {
  const Gid decided = Decided({"a", "gone"});
  Start();
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.in_doubt, 1);
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_THAT(list->transactions, SizeIs(1));
  EXPECT_THAT(list->transactions[0].note, HasSubstr("gone"));
  EXPECT_EQ(coordinator_->Find(decided), LoggedState::kCommitted);
}

TEST_F(RecoveryTest, OrphanOfARenamedParticipantStaysInDoubtVisibly) {
  const Gid orphan = OwnGid(7), half = OwnGid(8);
  stores_["a"].renamed = {{orphan, "old-a"}, {half, "old-a"}};
  stores_["a"].prepared.insert(half);
  Start();
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.in_doubt, 2);
  ASSERT_THAT(report.transactions, SizeIs(2)) << "each once";
  EXPECT_THAT(stores_["a"].rolled_back, testing::ElementsAre(half));
  ASSERT_THAT(report.notices, SizeIs(2));
  EXPECT_THAT(report.notices[0], HasSubstr("old-a"));
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_THAT(list->transactions, SizeIs(2));
  EXPECT_EQ(list->transactions[0].outcome, Outcome::kInDoubt);
  EXPECT_THAT(list->transactions[0].note, HasSubstr("old-a"));
}

TEST_F(RecoveryTest, StrayBranchOfAnEndedCommitIsCommitted) {
  const Gid ended = OwnGid(3);
  LogDecided({ended, {{"b", "t"}}});
  log_->End(ended);
  stores_["a"].prepared.insert(ended);
  Start();
  EXPECT_EQ(Recover().committed, 1);
  EXPECT_TRUE(stores_["a"].committed.contains(ended));
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
}

TEST_F(RecoveryTest, OldCopyOfTheLogPresumesNothing) {
  const Gid later = {"n", log_->id(), 9, 1};
  stores_["a"].prepared.insert(later);
  Start();
  const RecoveryReport report = Recover();
  EXPECT_THAT(stores_["a"].prepared, SizeIs(1));
  ASSERT_THAT(report.notices, SizeIs(1));
  EXPECT_THAT(report.notices[0], HasSubstr("old copy"));
}

TEST_F(RecoveryTest, HeuristicThatIsRecordedAlreadyIsNotRecordedTwice) {
  const Gid decided = Decided({"a", "b"});
  stores_["b"].prepared.clear();
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  log_->RecordHeuristic({decided, "b", DecisionOutcome::kCommitted, "lost", "then"},
                        [](const Status&) {});
  Start();
  EXPECT_EQ(Recover().heuristic, 1);
  EXPECT_THAT(log_->Heuristics(), SizeIs(1));
  EXPECT_EQ(coordinator_->Find(decided), LoggedState::kEnded);
}

TEST_F(RecoveryTest, HeuristicFoundByRecoveryIsRecorded) {
  const Gid decided = Decided({"a", "b"});
  stores_["b"].prepared.clear();
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  Start();
  EXPECT_EQ(Recover().heuristic, 1);
  ASSERT_THAT(log_->Heuristics(), SizeIs(1));
  EXPECT_EQ(log_->Heuristics()[0].gid, decided);
  EXPECT_EQ(log_->Heuristics()[0].participant, "b");
}

}  // namespace
}  // namespace indoubt
