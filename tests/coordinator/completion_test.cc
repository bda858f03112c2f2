// When the caller is told, and the hooks before prepare and after completion.
#include <atomic>

#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

class CompletionTest : public CoordinatorFixture {
 protected:
  void LetBCommit() {
    stores_["b"].With([](FakeStore& store) {
      store.commit_acks.clear();
      return 0;
    });
  }
};

TEST_F(CompletionTest, DecidedIsToldBeforeItIsAppliedAndAppliedAfterwards) {
  stores_["b"].commit_acks.assign(10000, AckKind::kRetry);
  Start();
  TransactionRequest request = Request({"a", "b"});
  request.answer_when = AnswerWhen::kDecided;
  std::promise<TransactionOutcome> completed;
  request.after_completion = [&](const TransactionOutcome& outcome) {
    completed.set_value(outcome);
  };
  const TransactionOutcome outcome = Submit(std::move(request)).get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  const Gid gid = *Gid::Parse(outcome.gid);
  EXPECT_EQ(coordinator_->Find(gid), LoggedState::kCommitted)
      << "decided, b has not applied it";
  auto applied = completed.get_future();
  EXPECT_EQ(applied.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  LetBCommit();
  EXPECT_EQ(applied.get().outcome, Outcome::kCommitted);
  EXPECT_EQ(coordinator_->Find(gid), LoggedState::kEnded);
}

TEST_F(CompletionTest, TheOptionsSayWhatARequestDoesNot) {
  options_.answer_when = AnswerWhen::kDecided;
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(10000, AckKind::kRetry);
  Start();
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted);
  TransactionRequest request = Request({"a", "b"});
  request.answer_when = AnswerWhen::kApplied;
  EXPECT_EQ(Submit(std::move(request)).get().outcome, Outcome::kInDoubt);
  LetBCommit();
}

TEST_F(CompletionTest, DecidedIsNotToldWhenTheDecisionIsNotDurable) {
  options_.answer_when = AnswerWhen::kDecided;
  Start();
  log_->FailNextDecision(Status(StatusCode::kIoError, "the sync failed; restart"));
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kInDoubt);
}

TEST_F(CompletionTest, DecidedTellsOfNoAndOfALoneParticipantAsEver) {
  options_.answer_when = AnswerWhen::kDecided;
  stores_["b"].votes = {VoteKind::kNo};
  Start();
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kRolledBack);
  EXPECT_EQ(Execute({"a"}).outcome, Outcome::kCommitted);
  stores_["a"].With([](FakeStore& store) {
    store.one_phases = {OnePhaseKind::kUnknown};
    return 0;
  });
  EXPECT_EQ(Execute({"a"}).outcome, Outcome::kInDoubt);
}

TEST_F(CompletionTest, BeforePrepareHasTheGidAndNobodyHasBeenAsked) {
  Start();
  TransactionRequest request = Request({"a", "b"});
  std::string told;
  request.before_prepare = [&](const std::string& gid) {
    told = gid;
    EXPECT_TRUE(stores_["a"].prepared.empty());
    return Status::Ok();
  };
  const TransactionOutcome outcome = Submit(std::move(request)).get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted);
  EXPECT_EQ(told, outcome.gid);
}

TEST_F(CompletionTest, BeforePrepareMayRollBack) {
  Start();
  TransactionRequest request = Request({"a", "b"});
  request.before_prepare = [](const std::string&) {
    return Status(StatusCode::kAborted, "the shop is closed");
  };
  std::promise<TransactionOutcome> completed;
  request.after_completion = [&](const TransactionOutcome& outcome) {
    completed.set_value(outcome);
  };
  const TransactionOutcome outcome = Submit(std::move(request)).get();
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.reason, "the shop is closed");
  EXPECT_EQ(completed.get_future().get().outcome, Outcome::kRolledBack);
  EXPECT_TRUE(stores_["a"].prepared.empty());
  EXPECT_EQ(log_->decisions(), 0);
}

TEST_F(CompletionTest, RefusedRequestsCallNoHook) {
  Start();
  TransactionRequest request = Request({"a", "nobody"});
  std::atomic<int> calls{0};
  request.before_prepare = [&](const std::string&) {
    ++calls;
    return Status::Ok();
  };
  request.after_completion = [&](const TransactionOutcome&) { ++calls; };
  EXPECT_EQ(Submit(std::move(request)).get().outcome, Outcome::kRolledBack);
  coordinator_.reset();
  EXPECT_EQ(calls, 0);
}

TEST_F(CompletionTest, GiveUpRollsBackWhatIsNotDecided) {
  stores_["b"].hold_prepares = true;
  Start();
  auto pending = Submit(Request({"a", "b"}));
  coordinator_->GiveUp("interrupted");
  const TransactionOutcome outcome = pending.get();
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.reason, "interrupted");
  EXPECT_EQ(Execute({"a"}).code, StatusCode::kUnavailable) << "no new ones";
  stores_["b"].AnswerHeld();
}

TEST_F(CompletionTest, GiveUpLeavesACommitThatIsBeingApplied) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(10000, AckKind::kRetry);
  Start();
  const Gid gid = *Gid::Parse(Execute({"a", "b"}).gid);
  coordinator_->GiveUp("interrupted");
  LetBCommit();
  Await([&] { return coordinator_->Find(gid) == LoggedState::kEnded; });
  EXPECT_TRUE(stores_["a"].rollbacks_told.empty());
}

}  // namespace
}  // namespace indoubt
