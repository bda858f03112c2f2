// Requests with an id are not done twice, over fake participants.
#include "tests/coordinator/fixture.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

class RequestIdTest : public CoordinatorFixture {
 protected:
  static TransactionRequest Named(const std::string& id,
                                  std::initializer_list<const char*> names = {"a", "b"}) {
    TransactionRequest request = Request(names);
    request.request_id = id;
    return request;
  }
  TransactionOutcome Ask(const std::string& id,
                         std::initializer_list<const char*> names = {"a", "b"}) {
    return Submit(Named(id, names)).get();
  }
  /// `id` commits, `b` does not apply it, and a person rolls it back all the same.
  Gid RollBackByHand(const std::string& id) {
    options_.apply_timeout = std::chrono::milliseconds(30);
    stores_["b"].commit_acks.assign(1000, AckKind::kRetry);
    Start();
    const Gid gid = *Gid::Parse(Ask(id).gid);
    EXPECT_TRUE(coordinator_->Resolve({gid, DecisionOutcome::kAborted, kAnn, true, {}},
                                      In(std::chrono::seconds(10))));
    return gid;
  }
  size_t CommittedAt(const std::string& name) {
    return stores_[name].With([](FakeStore& store) { return store.committed.size(); });
  }
};

TEST_F(RequestIdTest, AskedAgainItIsTheSameTransaction) {
  Start();
  const TransactionOutcome first = Ask("order:1"), again = Ask("order:1"),
                           other = Ask("order:2");
  EXPECT_EQ(first.outcome, Outcome::kCommitted);
  EXPECT_FALSE(first.asked_before);
  EXPECT_EQ(again.outcome, Outcome::kCommitted) << again.reason;
  EXPECT_EQ(again.gid, first.gid);
  EXPECT_TRUE(again.asked_before);
  EXPECT_NE(other.gid, first.gid);
  EXPECT_EQ(CommittedAt("a"), 2u);
}

TEST_F(RequestIdTest, AskedAgainAfterARestartItIsTheSameTransaction) {
  Start();
  const TransactionOutcome first = Ask("order:1");
  Restart();
  const TransactionOutcome again = Ask("order:1");
  EXPECT_EQ(again.outcome, Outcome::kCommitted);
  EXPECT_EQ(again.gid, first.gid);
  EXPECT_EQ(CommittedAt("a"), 1u);
}

TEST_F(RequestIdTest, DecidedBeforeACrashItIsNotDoneAgain) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(1000, AckKind::kRetry);
  Start();
  const TransactionOutcome first = Ask("order:1");
  ASSERT_EQ(first.outcome, Outcome::kInDoubt);
  const TransactionOutcome meanwhile = Ask("order:1");
  EXPECT_EQ(meanwhile.outcome, Outcome::kInDoubt);
  EXPECT_EQ(meanwhile.gid, first.gid);
  Restart();
  EXPECT_EQ(Ask("order:1").gid, first.gid);
  stores_["b"].With([](FakeStore& store) {
    store.commit_acks.clear();
    return 0;
  });
  Recover();
  const TransactionOutcome again = Ask("order:1");
  EXPECT_EQ(again.outcome, Outcome::kCommitted) << again.reason;
  EXPECT_EQ(again.gid, first.gid);
}

TEST_F(RequestIdTest, EachAskingIsToldWhenItAskedToBe) {
  options_.apply_timeout = std::chrono::milliseconds(30);
  stores_["b"].commit_acks.assign(1000, AckKind::kRetry);
  Start();
  const auto ask = [this](AnswerWhen when) {
    TransactionRequest request = Named("order:1");
    request.answer_when = when;
    return Submit(std::move(request)).get().outcome;
  };
  EXPECT_EQ(ask(AnswerWhen::kDecided), Outcome::kCommitted);
  EXPECT_EQ(ask(AnswerWhen::kDecided), Outcome::kCommitted) << "the same answer";
  EXPECT_EQ(ask(AnswerWhen::kApplied), Outcome::kInDoubt);
}

TEST_F(RequestIdTest, AskedWhileItIsUnderWayBothGetTheOneAnswer) {
  stores_["b"].hold_prepares = true;
  Start();
  auto first = Submit(Named("order:1"));
  auto again = Submit(Named("order:1"));
  stores_["b"].AnswerHeld();
  const TransactionOutcome one = first.get(), two = again.get();
  EXPECT_EQ(one.outcome, Outcome::kCommitted);
  EXPECT_EQ(two.outcome, Outcome::kCommitted);
  EXPECT_EQ(one.gid, two.gid);
  EXPECT_TRUE(two.asked_before);
  EXPECT_EQ(CommittedAt("a"), 1u);
}

TEST_F(RequestIdTest, AskedForSomethingElseItIsRefusedAlsoAfterARestart) {
  Start();
  const TransactionOutcome first = Ask("order:1");
  const auto expect_refused = [&](TransactionRequest request) {
    const TransactionOutcome other = Submit(std::move(request)).get();
    EXPECT_EQ(other.outcome, Outcome::kRolledBack);
    EXPECT_EQ(other.code, StatusCode::kInvalidArgument);
    EXPECT_THAT(other.reason, HasSubstr("request order:1 is transaction " + first.gid));
    EXPECT_THAT(other.reason, HasSubstr("other statements"));
  };
  for (int times = 0; times < 2; ++times) {
    expect_refused(Named("order:1", {"a"}));
    TransactionRequest other_text = Named("order:1");
    other_text.statements[0].statement.text += " ";
    expect_refused(std::move(other_text));
    TransactionRequest other_value = Named("order:1");
    other_value.statements[1].statement.params.push_back({int64_t{1}});
    expect_refused(std::move(other_value));
    TransactionRequest other_rows = Named("order:1");
    other_rows.statements[1].statement.expect_rows = 1;
    expect_refused(std::move(other_rows));
    Restart();
  }
  EXPECT_EQ(Ask("order:1").gid, first.gid) << "the first is still known";
  EXPECT_EQ(CommittedAt("a"), 1u);
}

TEST_F(RequestIdTest, AskedForSomethingElseWhileItIsUnderWayItIsRefused) {
  stores_["b"].hold_prepares = true;
  Start();
  auto first = Submit(Named("order:1"));
  const TransactionOutcome other = Submit(Named("order:1", {"a"})).get();
  EXPECT_EQ(other.outcome, Outcome::kRolledBack);
  EXPECT_THAT(other.reason, HasSubstr("request order:1 is under way"));
  stores_["b"].AnswerHeld();
  EXPECT_EQ(first.get().outcome, Outcome::kCommitted);
}

TEST_F(RequestIdTest, OfAnOldLogThatKnowsNoStatementsTheIdAloneCounts) {
  Start();
  const Gid gid = OwnGid(4711);
  log_->Decide(gid, DecisionOutcome::kCommitted, {}, [](DecisionOutcome, const Status&) {},
               {"order:1", 0});
  log_->End(gid);
  const TransactionOutcome known = Ask("order:1");
  EXPECT_EQ(known.outcome, Outcome::kCommitted) << known.reason;
  EXPECT_EQ(known.gid, gid.ToString());
  EXPECT_TRUE(known.asked_before);
}

TEST_F(RequestIdTest, TheCommittedOneIsNotRefusedWhileAnotherOfItsIdIs) {
  Start();
  const TransactionOutcome first = Ask("order:1");
  std::optional<std::future<TransactionOutcome>> again;
  bool asked = false;
  log_->BeforeFindRequest([&] {  // the other has its turn, and has not been refused
    if (!std::exchange(asked, true)) again.emplace(Submit(Named("order:1")));
  });
  const TransactionOutcome other = Ask("order:1", {"a"});
  log_->BeforeFindRequest(nullptr);
  EXPECT_EQ(other.code, StatusCode::kInvalidArgument);
  EXPECT_FALSE(other.asked_before);
  ASSERT_TRUE(again);
  const TransactionOutcome same = again->get();
  EXPECT_EQ(same.outcome, Outcome::kCommitted) << same.reason;
  EXPECT_EQ(same.gid, first.gid);
}

TEST_F(RequestIdTest, WhatWasRolledBackIsDoneAnew) {
  stores_["b"].votes = {VoteKind::kNo};
  Start();
  const TransactionOutcome first = Ask("order:1");
  EXPECT_EQ(first.outcome, Outcome::kRolledBack);
  const TransactionOutcome again = Ask("order:1");
  EXPECT_EQ(again.outcome, Outcome::kCommitted);
  EXPECT_NE(again.gid, first.gid);
}

TEST_F(RequestIdTest, ALoneParticipantDecidesThroughTheLog) {
  Start();
  const TransactionOutcome first = Ask("order:1", {"a"});
  EXPECT_EQ(first.outcome, Outcome::kCommitted) << first.reason;
  EXPECT_EQ(log_->decisions(), 1);
  Restart();
  EXPECT_EQ(Ask("order:1", {"a"}).gid, first.gid);
  EXPECT_EQ(CommittedAt("a"), 1u);
}

TEST_F(RequestIdTest, HeuristicOutcomeIsTheAnswerTheSecondTimeToo) {
  stores_["b"].commit_acks = {AckKind::kHeuristic};
  Start();
  const TransactionOutcome first = Ask("order:1");
  ASSERT_EQ(first.outcome, Outcome::kHeuristic);
  Restart();
  const TransactionOutcome again = Ask("order:1");
  EXPECT_EQ(again.outcome, Outcome::kHeuristic);
  EXPECT_EQ(again.gid, first.gid);
  EXPECT_THAT(again.reason, HasSubstr("b"));
}

TEST_F(RequestIdTest, WhatAPersonRolledBackIsNotAnsweredAsCommitted) {
  RollBackByHand("order:1");
  EXPECT_EQ(Ask("order:1").outcome, Outcome::kHeuristic);
}

TEST_F(RequestIdTest, IdOfWhatAPersonRolledBackAndForgotIsFree) {
  const Gid gid = RollBackByHand("order:1");
  const Status forgotten = coordinator_->Forget(gid, kAnn);
  ASSERT_TRUE(forgotten.ok()) << forgotten.ToString();
  stores_["b"].With([](FakeStore& store) {
    store.commit_acks.clear();
    return 0;
  });
  const TransactionOutcome anew = Ask("order:1");
  EXPECT_EQ(anew.outcome, Outcome::kCommitted) << anew.reason;
  EXPECT_NE(anew.gid, gid.ToString());
  EXPECT_FALSE(anew.asked_before);
  Restart();
  EXPECT_EQ(Ask("order:1").gid, anew.gid);
}

TEST_F(RequestIdTest, ForgottenIdIsFree) {
  Start();
  const TransactionOutcome first = Ask("order:1");
  Await([&] { return coordinator_->Find(*Gid::Parse(first.gid)) == LoggedState::kEnded; });
  log_->ForgetUpTo(*Gid::Parse(first.gid));
  const TransactionOutcome again = Ask("order:1");
  EXPECT_EQ(again.outcome, Outcome::kCommitted);
  EXPECT_NE(again.gid, first.gid);
}

TEST_F(RequestIdTest, MoreIdsThanCanBeRememberedAreRefused) {
  Start();
  log_->RefuseRequestIds();
  const TransactionOutcome refused = Ask("order:1");
  EXPECT_EQ(refused.outcome, Outcome::kRolledBack);
  EXPECT_EQ(refused.code, StatusCode::kUnavailable);
  EXPECT_EQ(Execute({"a", "b"}).outcome, Outcome::kCommitted) << "without an id it goes on";
}

TEST_F(RequestIdTest, HostileIdsAreRefused) {
  Start();
  for (const std::string& id :
       {std::string(65, 'x'), std::string(10 << 20, 'x'), std::string("a b"),
        std::string("\xff"), std::string("\0", 1)}) {
    const TransactionOutcome refused = Ask(id);
    EXPECT_EQ(refused.outcome, Outcome::kRolledBack);
    EXPECT_EQ(refused.code, StatusCode::kInvalidArgument);
    EXPECT_LT(refused.reason.size(), 200u);
  }
  EXPECT_EQ(Ask(std::string(64, 'x')).outcome, Outcome::kCommitted);
}

TEST_F(RequestIdTest, ShowSaysForgottenOfWhatNobodyCanTellAnyMore) {
  Start();
  const Gid gid = *Gid::Parse(Execute({"a", "b"}).gid);
  Await([&] { return coordinator_->Find(gid) == LoggedState::kEnded; });
  log_->ForgetUpTo(gid);
  const auto shown = coordinator_->Show(gid, In(std::chrono::seconds(5)));
  ASSERT_TRUE(shown) << shown.status().ToString();
  ASSERT_EQ(shown->transactions.size(), 1u);
  EXPECT_TRUE(shown->transactions[0].forgotten);
}

}  // namespace
}  // namespace indoubt
