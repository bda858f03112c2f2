// The live coordinator over fake participants: what callers are told, and what
// participants are.
#include "coordinator/coordinator.h"

#include "participants/result_limit.h"
#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CoordinatorTest : public CoordinatorFixture {
 protected:
  /// The one gid that is committed at the store.
  Gid CommittedAt(const std::string& name) {
    return stores_[name].With([](FakeStore& store) {
      EXPECT_EQ(store.committed.size(), 1u);
      return store.committed.empty() ? Gid{} : *store.committed.begin();
    });
  }
};

TEST_F(CoordinatorTest, CommitsEverywhereAndReturnsResultsInTheirOrder) {
  Start();
  const TransactionOutcome outcome = Execute({"b", "a", "b", "c"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  EXPECT_EQ(outcome.code, StatusCode::kOk);
  ASSERT_EQ(outcome.results.size(), 4u);
  const char* expected[] = {"b", "a", "b", "c"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(std::get<std::string>(outcome.results[i].values[0].held),
              std::string("work at ") + expected[i]);
  }
  for (const char* name : expected) EXPECT_EQ(CommittedAt(name).ToString(), outcome.gid);
  EXPECT_EQ(stores_["a"].commit_tokens.begin()->second, "token of a");
  Await([&] { return coordinator_->Find(*Gid::Parse(outcome.gid)) == LoggedState::kEnded; });
  EXPECT_EQ(outcome.participants.size(), 3u);
  for (const auto& participant : outcome.participants) {
    EXPECT_EQ(participant.vote, VoteKind::kYes);
    EXPECT_EQ(participant.ack, AckState::kCommitted);
  }
}

TEST_F(CoordinatorTest, OneParticipantNeedsNoDecision) {
  Start();
  const TransactionOutcome outcome = Execute({"a", "a"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted);
  EXPECT_EQ(outcome.participants[0].vote, std::nullopt);
  EXPECT_EQ(log_->decisions(), 0);
}

TEST_F(CoordinatorTest, NoRollsEverybodyBackAndNamesTheParticipant) {
  stores_["b"].votes = {VoteKind::kNo};
  Start();
  const TransactionOutcome outcome = Execute({"a", "b", "c"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.code, StatusCode::kAborted);
  EXPECT_EQ(outcome.reason, "b: the test says so");
  EXPECT_EQ(log_->decisions(), 0);
  for (auto& [name, store] : stores_) {
    EXPECT_TRUE(store.prepared.empty()) << name;
    EXPECT_TRUE(store.committed.empty()) << name;
  }
  EXPECT_TRUE(stores_["b"].rollbacks_told.empty()) << "a no needs no roll back";
}

TEST_F(CoordinatorTest, ResultsThatAreTooManyTogetherRollEverybodyBack) {
  Start();
  const std::string text(size_t{40} << 20, 'x');  // what the fake participant returns
  for (const VoteKind vote : {VoteKind::kYes, VoteKind::kReadOnly}) {
    for (const char* name : {"a", "b", "c"}) {
      stores_[name].With([&](FakeStore& store) {
        store.votes = {vote};
        return 0;
      });
    }
    TransactionRequest request = Request({"c"});
    request.statements.push_back({"a", {text, {}, {}}});
    request.statements.push_back({"b", {text, {}, {}}});
    const TransactionOutcome outcome = Submit(std::move(request)).get();
    EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
    EXPECT_EQ(outcome.code, StatusCode::kAborted);
    EXPECT_THAT(outcome.reason, HasSubstr("more than 64 MiB"));
    EXPECT_THAT(outcome.reason, HasSubstr("narrow"));
    size_t bytes = 0;
    for (const StatementResult& result : outcome.results) bytes += SizeInMemory(result);
    EXPECT_LT(bytes, kMaxResultBytes) << "they go to the client all the same";
  }
  const Gid first = OwnGid(1);
  for (const char* name : {"a", "b", "c"}) {
    Await([&] {
      return stores_[name].With(
          [&](const FakeStore& store) { return store.rolled_back.contains(first); });
    });
    EXPECT_TRUE(stores_[name].committed.empty()) << name;
  }
  TransactionRequest alone = Request({"a", "c"});
  alone.statements.push_back({"b", {text, {}, {}}});
  EXPECT_EQ(Submit(std::move(alone)).get().outcome, Outcome::kCommitted);
}

TEST_F(CoordinatorTest, LostVoteAbortsAndThatParticipantIsToldToo) {
  stores_["b"].votes = {VoteKind::kUnknown};
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.code, StatusCode::kUnavailable);
  EXPECT_THAT(outcome.reason, HasSubstr("b: "));
  EXPECT_EQ(stores_["b"].rolled_back.size(), 1u);
  EXPECT_TRUE(stores_["b"].prepared.empty());
}

TEST_F(CoordinatorTest, MissingVoteTimesOut) {
  stores_["b"].hold_prepares = true;
  Start();
  TransactionRequest request = Request({"a", "b"});
  request.timeout = std::chrono::milliseconds(30);
  const TransactionOutcome outcome = Submit(std::move(request)).get();
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.code, StatusCode::kDeadlineExceeded);
  EXPECT_EQ(outcome.reason, "no vote of b before the timeout");
  stores_["b"].AnswerHeld();
}

TEST_F(CoordinatorTest, LostCommitReplyIsAskedAgain) {
  stores_["b"].commit_acks = {AckKind::kRetry, AckKind::kRetry};
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted);
  EXPECT_EQ(stores_["b"].commits_told.begin()->second, 3);
  EXPECT_EQ(stores_["a"].commits_told.begin()->second, 1);
}

TEST_F(CoordinatorTest, CallerIsToldInDoubtWhileADecidedCommitCannotBeApplied) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(1000, AckKind::kRetry);
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kInDoubt);
  EXPECT_THAT(outcome.reason, HasSubstr("commit is decided, not yet applied at b"));
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_EQ(list->transactions.size(), 1u);
  EXPECT_EQ(list->transactions[0].outcome, Outcome::kCommitted);
  stores_["b"].With([](FakeStore& store) {
    store.commit_acks.clear();
    return 0;
  });
  Await([&] { return coordinator_->Find(*Gid::Parse(outcome.gid)) == LoggedState::kEnded; });
}

TEST_F(CoordinatorTest, FailedDecisionIsInDoubtAndNobodyIsTold) {
  Start();
  log_->FailNextDecision(Status(StatusCode::kIoError, "the sync failed; restart"));
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kInDoubt);
  EXPECT_EQ(outcome.code, StatusCode::kIoError);
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(stores_[name].prepared.size(), 1u);
    EXPECT_TRUE(stores_[name].commits_told.empty());
    EXPECT_TRUE(stores_[name].rollbacks_told.empty());
  }
  EXPECT_FALSE(coordinator_->health().ok());
  const TransactionOutcome refused = Execute({"a", "b"});
  EXPECT_EQ(refused.outcome, Outcome::kRolledBack);
  EXPECT_THAT(refused.reason, HasSubstr("decision log"));
  EXPECT_FALSE(coordinator_->Recover(In(std::chrono::seconds(1))));

  Restart();  // the record survived, so the start decides: commit
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.committed, 1);
  EXPECT_EQ(stores_["a"].committed.size(), 1u);
}

TEST_F(CoordinatorTest, HeuristicIsRecordedAndForgottenOnlyWhenAsked) {
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kHeuristic);
  EXPECT_THAT(outcome.reason, HasSubstr("b: "));
  const Gid gid = *Gid::Parse(outcome.gid);
  stores_["b"].prepared.clear();
  Restart();
  EXPECT_EQ(Recover().heuristic, 1);
  auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_EQ(list->transactions.size(), 1u);
  EXPECT_EQ(list->transactions[0].outcome, Outcome::kHeuristic);
  EXPECT_TRUE(coordinator_->Forget(gid, kAnn).ok());
  EXPECT_EQ(coordinator_->Forget(gid, kAnn).code(), StatusCode::kNotFound);
  EXPECT_EQ(Recover().heuristic, 0);
}

TEST_F(CoordinatorTest, StoreKeepsItsHeuristicOutcomeUntilItIsForgotten) {
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  Start();
  const Gid gid = *Gid::Parse(Execute({"a", "b"}).gid);
  const auto forgotten = [&](const char* name) {
    return stores_[name].With([&](FakeStore& s) { return s.forgotten.contains(gid); });
  };
  Await([&] {
    Execute({"a", "c"});  // its decision's sync carries the end records before it
    return forgotten("a");
  });
  EXPECT_FALSE(forgotten("b")) << "the only copy of the lost change";
  EXPECT_TRUE(coordinator_->Forget(gid, kAnn).ok());
  EXPECT_TRUE(forgotten("b"));
}

TEST_F(CoordinatorTest, HeuristicOfAnUnappliedCommitIsNotForgotten) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["a"].commit_acks.assign(1000, AckKind::kRetry);
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  Start();
  const Gid gid = *Gid::Parse(Execute({"a", "b"}).gid);
  EXPECT_EQ(coordinator_->Forget(gid, kAnn).code(), StatusCode::kRefused);
  EXPECT_FALSE(stores_["b"].With([&](FakeStore& s) { return s.forgotten.contains(gid); }));
  EXPECT_EQ(coordinator_->List(In(std::chrono::seconds(5)))->transactions.size(), 1u);
}

TEST_F(CoordinatorTest, UnknownParticipantIsTheCallersMistake) {
  Start();
  const TransactionOutcome outcome = Execute({"a", "nobody"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.code, StatusCode::kInvalidArgument);
  EXPECT_THAT(outcome.reason, HasSubstr("nobody"));
  EXPECT_EQ(Execute({}).code, StatusCode::kInvalidArgument);
}

TEST_F(CoordinatorTest, TimeoutOutOfBoundsIsRefused) {
  Start();
  for (const Duration timeout :
       {Duration::max(), kLongestTimeout + Duration(1), Duration(-1), Duration::min()}) {
    TransactionRequest request = Request({"a", "b"});
    request.timeout = timeout;
    const TransactionOutcome outcome = Submit(std::move(request)).get();
    EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
    EXPECT_EQ(outcome.code, StatusCode::kInvalidArgument);
    EXPECT_THAT(outcome.reason, HasSubstr("at most 10m"));
  }
  TransactionRequest longest = Request({"a", "b"});
  longest.timeout = kLongestTimeout;
  EXPECT_EQ(Submit(std::move(longest)).get().outcome, Outcome::kCommitted);
  options_.default_timeout = Duration::max();
  EXPECT_EQ(TryStart().status().code(), StatusCode::kInvalidArgument);
}

TEST_F(CoordinatorTest, ParticipantThatCannotKeepThePromiseIsRefused) {
  stores_["b"].problems = {"fsync is off; turn it on"};
  stores_["a"].warnings = {"durability is relaxed"};
  Start();
  const TransactionOutcome refused = Execute({"a", "b"});
  EXPECT_EQ(refused.outcome, Outcome::kRolledBack);
  EXPECT_EQ(refused.code, StatusCode::kRefused);
  EXPECT_EQ(refused.reason, "b: fsync is off; turn it on");
  const TransactionOutcome outcome = Execute({"a", "c"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted);
  EXPECT_THAT(outcome.warnings, ElementsAre("a: durability is relaxed"));
}

TEST_F(CoordinatorTest, SettingsAreLookedAtAgainWithoutRecoveryPassesToo) {
  ASSERT_EQ(options_.recovery_interval, Duration{});
  options_.check_interval = std::chrono::milliseconds(5);
  Start();
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted);
  stores_["b"].With([](FakeStore& store) {
    store.problems = {"fsync is off; turn it on"};
    return 0;
  });
  Await([&] { return Execute({"a", "b"}).code == StatusCode::kRefused; });
}

TEST_F(CoordinatorTest, ParticipantWhoseAnswerStayedAwayIsLookedAtAgain) {
  options_.check_interval = std::chrono::hours(1);
  Start();
  stores_["b"].With([](FakeStore& store) {
    store.problems = {"fsync is off; turn it on"};
    store.votes = {VoteKind::kUnknown};
    return 0;
  });
  Await([&] { return Execute({"a", "b"}).code == StatusCode::kRefused; });
}

TEST_F(CoordinatorTest, ParticipantThatIsDownAtTheStartIsTriedAgain) {
  stores_["b"].down = true;
  Start();
  EXPECT_EQ(Execute({"a", "b"}).code, StatusCode::kUnavailable);
  EXPECT_EQ(Execute({"a", "c"}).outcome, Outcome::kCommitted);
  stores_["b"].With([](FakeStore& store) { return store.down = false; });
  Await([&] { return Execute({"a", "b"}).outcome == Outcome::kCommitted; });
}

TEST_F(CoordinatorTest, StoresForgetOnlyAfterTheEndRecordIsDurable) {
  Start();
  const Gid first = *Gid::Parse(Execute({"a", "b"}).gid);
  EXPECT_FALSE(stores_["a"].forgotten.contains(first));
  Execute({"a", "b"});  // its decision's sync carries the first one's end
  Await([&] {
    return stores_["a"].With([&](FakeStore& s) { return s.forgotten.contains(first); });
  });
}

TEST_F(CoordinatorTest, StoresForgetTheLastOnesAtAnOrderlyEnd) {
  Start();
  const Gid last = *Gid::Parse(Execute({"a", "b"}).gid);
  coordinator_.reset();
  EXPECT_TRUE(stores_["a"].forgotten.contains(last));
  EXPECT_TRUE(stores_["b"].forgotten.contains(last));
}

TEST_F(CoordinatorTest, StoresForgetNothingWhoseEndIsNotDurable) {
  Start();
  const Gid last = *Gid::Parse(Execute({"a", "b"}).gid);
  log_->FailWrites(Status(StatusCode::kIoError, "the disk is full"));
  coordinator_.reset();
  EXPECT_THAT(stores_["a"].forgotten, testing::Not(testing::Contains(last)));
}

TEST_F(CoordinatorTest, DrainRefusesNewWorkAndWaitsForTheOld) {
  stores_["b"].hold_prepares = true;
  Start();
  auto pending = Submit(Request({"a", "b"}));
  std::thread drain([&] { coordinator_->Drain(In(std::chrono::seconds(20))); });
  Await([&] { return Execute({"a", "c"}).code == StatusCode::kUnavailable; });
  stores_["b"].AnswerHeld();
  EXPECT_EQ(pending.get().outcome, Outcome::kCommitted);
  drain.join();
}

TEST_F(CoordinatorTest, DrainDoesNotWaitForWhatOnlyTheNextStartCanEnd) {
  Start();
  log_->FailNextDecision(Status(StatusCode::kIoError, "the sync failed; restart"));
  ASSERT_EQ(Execute({"a", "b"}).outcome, Outcome::kInDoubt);
  const TimePoint deadline = In(std::chrono::seconds(20));
  coordinator_->Drain(deadline);
  EXPECT_LT(SystemClock().Now(), deadline);
}

TEST_F(CoordinatorTest, EndingWaitsForTransactionsUnderWay) {
  stores_["b"].hold_prepares = true;
  Start();
  TransactionRequest request = Request({"a", "b"});
  request.timeout = std::chrono::milliseconds(200);
  auto pending = Submit(std::move(request));
  coordinator_.reset();
  ASSERT_EQ(pending.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_EQ(pending.get().code, StatusCode::kDeadlineExceeded);
  stores_["b"].held.clear();  // nobody is left to be answered
}

TEST_F(CoordinatorTest, ManyAtOnceFromManyThreads) {
  options_.recovery_interval = std::chrono::milliseconds(1);
  Start();
  constexpr int kThreads = 4, kEach = 500;
  std::atomic<int> committed{0}, other{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) {
        coordinator_->Execute(Request({"a", "b", "c"}), [&](TransactionOutcome outcome) {
          ++(outcome.outcome == Outcome::kCommitted ? committed : other);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Await([&] { return committed + other == kThreads * kEach; });
  EXPECT_EQ(other, 0);
  coordinator_.reset();
  for (auto& [name, store] : stores_) {
    EXPECT_EQ(store.committed.size(), size_t{kThreads * kEach});
    EXPECT_TRUE(store.rollbacks_told.empty()) << "recovery touched an active transaction";
  }
}

TEST_F(CoordinatorTest, RefusesADurationThatWouldSpinOrOverflow) {
  const CoordinatorOptions usual = options_;
  const auto refused = [&](const char* name) {
    const auto started = TryStart();
    options_ = usual;
    EXPECT_EQ(started.status().code(), StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(started.status().message(), testing::HasSubstr(name));
  };
  options_.check_interval = {};
  refused("coordinator.check_interval");
  options_.apply_timeout = {};
  refused("coordinator.apply_timeout");
  options_.recovery_interval = Duration::max();
  refused("coordinator.recovery_interval");
}

}  // namespace
}  // namespace indoubt
