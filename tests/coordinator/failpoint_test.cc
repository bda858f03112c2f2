// The fail points of the coordinator: that each is reached where it says, and what
// an error there comes to.
#include "base/failpoint.h"

#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

class FailPointsTest : public CoordinatorFixture {
 protected:
  ~FailPointsTest() override {
    coordinator_.reset();
    Arm("");
  }
  static void Arm(const std::string& spec) {
    const Status armed = ConfigureFailPoints(spec);
    ASSERT_TRUE(armed.ok()) << armed.ToString();
  }
  void ExpectNothingPrepared() {
    for (auto& [name, store] : stores_) {
      store.With([&name = name](FakeStore& s) {
        EXPECT_TRUE(s.prepared.empty()) << name;
        return 0;
      });
    }
  }
};

class BeforeTheDecision : public FailPointsTest,
                          public testing::WithParamInterface<const char*> {};

TEST_P(BeforeTheDecision, ErrorAborts) {
  Arm(std::string(GetParam()) + "=error");
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_THAT(outcome.reason, HasSubstr("injected error"));
  EXPECT_EQ(log_->decisions(), 0);
  for (auto& [name, store] : stores_) EXPECT_TRUE(store.committed.empty()) << name;
  ExpectNothingPrepared();
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted) << "hit once only";
}

INSTANTIATE_TEST_SUITE_P(Points, BeforeTheDecision,
                         testing::Values("begun", "worked", "worked@b", "before_prepare@b",
                                         "after_prepare@b", "voted"));

class AfterTheDecision : public FailPointsTest,
                         public testing::WithParamInterface<const char*> {};

TEST_P(AfterTheDecision, ErrorDelaysTheEndAndNoMore) {
  Arm(std::string(GetParam()) + "=error");
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  Await([&] { return coordinator_->Find(*Gid::Parse(outcome.gid)) == LoggedState::kEnded; });
  EXPECT_EQ(stores_["a"].committed.size(), 1u);
  EXPECT_EQ(stores_["b"].committed.size(), 1u);
  // An error before it keeps the message back; one behind it loses the answer.
  const int told = std::string(GetParam()).starts_with("after_commit") ? 2 : 1;
  EXPECT_EQ(stores_["b"].commits_told[*Gid::Parse(outcome.gid)], told);
  coordinator_->Drain(In(std::chrono::seconds(20)));
  EXPECT_TRUE(coordinator_->List(In(std::chrono::seconds(5)))->transactions.empty());
}

INSTANTIATE_TEST_SUITE_P(Points, AfterTheDecision,
                         testing::Values("decision_durable", "before_commit@b",
                                         "after_commit@b", "acknowledged", "ended"));

class AroundRollback : public FailPointsTest,
                       public testing::WithParamInterface<const char*> {};

TEST_P(AroundRollback, ErrorIsRetried) {
  Arm(std::string(GetParam()) + "=error");
  stores_["a"].votes = {VoteKind::kNo};
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  const Gid gid = *Gid::Parse(outcome.gid);
  const int told = std::string(GetParam()).starts_with("after_rollback") ? 2 : 1;
  Await([&] {
    return stores_["b"].With(
        [&](FakeStore& s) { return s.prepared.empty() && s.rollbacks_told[gid] == told; });
  });
}

INSTANTIATE_TEST_SUITE_P(Points, AroundRollback,
                         testing::Values("before_rollback@b", "after_rollback@b"));

TEST_F(FailPointsTest, OnePhaseErrorBeforeIsNotSentAndAfterIsInDoubt) {
  Arm("one_phase_before=error;one_phase_after=error");
  Start();
  EXPECT_EQ(Execute({"a"}).outcome, Outcome::kRolledBack);
  EXPECT_TRUE(stores_["a"].committed.empty());
  const TransactionOutcome outcome = Execute({"a"});
  EXPECT_EQ(outcome.outcome, Outcome::kInDoubt);
  EXPECT_THAT(outcome.reason, HasSubstr("a: "));
}

TEST_F(FailPointsTest, ResultsOfTheLongWayAreTheSame) {
  Arm("worked:99=error");
  Start();
  const TransactionOutcome outcome = Execute({"a", "b", "a"});
  ASSERT_EQ(outcome.outcome, Outcome::kCommitted);
  ASSERT_EQ(outcome.results.size(), 3u);
  EXPECT_EQ(std::get<std::string>(outcome.results[1].values[0].held), "work at b");
}

class InRecovery : public FailPointsTest, public testing::WithParamInterface<const char*> {};

TEST_P(InRecovery, ErrorLeavesWorkForLaterAndTheSameEnd) {
  const Gid decided = OwnGid(1), orphan = OwnGid(2);
  for (const char* name : {"a", "b"}) stores_[name].prepared.insert(decided);
  stores_["b"].prepared.insert(orphan);
  LogDecided({decided, {{"a", "t"}, {"b", "t"}}});
  Arm(std::string(GetParam()) + "=error");
  Start();
  // An error in the pass itself ends that pass; one around a participant is retried.
  const std::string point = GetParam();
  const bool ends_the_pass = point == "recovery_listed" || point == "recovery_relisted";
  EXPECT_EQ(!coordinator_->Recover(In(std::chrono::seconds(10)), {}), ends_the_pass);
  if (ends_the_pass) {
    EXPECT_EQ(stores_["a"].prepared.size(), 1u);
    EXPECT_EQ(Recover().committed, 1);
  }
  ExpectNothingPrepared();
  EXPECT_TRUE(stores_["b"].committed.contains(decided));
  EXPECT_TRUE(stores_["b"].rolled_back.contains(orphan));
  EXPECT_FALSE(stores_["b"].rolled_back.contains(decided));
}

INSTANTIATE_TEST_SUITE_P(Points, InRecovery,
                         testing::Values("recovery_listed", "recovery_relisted",
                                         "recovery_before_commit@b", "recovery_after_commit@b",
                                         "recovery_before_rollback",
                                         "recovery_after_rollback"));

using FailPointsDeathTest = FailPointsTest;

TEST_F(FailPointsDeathTest, EachPointOfATransactionIsReached) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const char* point :
       {"begun", "worked", "before_prepare", "after_prepare", "voted", "decision_durable",
        "before_commit", "after_commit", "acknowledged", "ended"}) {
    EXPECT_EXIT(
        {
          Arm(std::string(point) + "=kill");
          Start();
          Execute({"a", "b"});
          coordinator_.reset();
          std::_Exit(0);
        },
        testing::KilledBySignal(SIGKILL), "")
        << point;
  }
}

}  // namespace
}  // namespace indoubt
