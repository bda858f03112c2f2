// The live coordinator with a last resource: where the decision lives, what recovery reads,
// asks and leaves, and when the rows go.
#include "tests/coordinator/fixture.h"
#include "tests/support/fake_last_resource.h"

namespace indoubt {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Fate = FakeDecisionTable::Fate;

class LastResourceTest : public CoordinatorFixture {
 protected:
  LastResourceTest() { options_.apply_timeout = std::chrono::milliseconds(50); }
  ~LastResourceTest() override { coordinator_.reset(); }  // it uses the table

  /// "a" and "b", and with `configured` the last resource "r".
  void Start(bool configured = true) {
    std::vector<std::unique_ptr<Participant>> participants;
    for (const char* name : {"a", "b"}) {
      participants.push_back(std::make_unique<FakeParticipant>(name, stores_.at(name)));
    }
    if (configured) {
      participants.push_back(std::make_unique<FakeLastResource>("r", stores_["r"], table_));
    }
    auto started = Coordinator::Start(options_, MakeLog(), std::move(participants));
    ASSERT_TRUE(started) << started.error().ToString();
    coordinator_ = std::move(*started);
  }
  void Restart(bool configured = true) {
    coordinator_.reset();
    Start(configured);
  }
  /// A gid that an earlier incarnation decided here.
  Gid Earlier(uint64_t number) const { return {"n", log_->id(), 1, number, table_.home}; }
  void Prepared(const Gid& gid, std::initializer_list<const char*> names) {
    for (const char* name : names) stores_.at(name).prepared.insert(gid);
  }
  bool Rows() const {
    const std::lock_guard lock(table_.mutex);
    return !table_.commits.empty();
  }
  bool CommittedAt(const char* name, const Gid& gid) {
    return stores_.at(name).With(
        [&](const FakeStore& store) { return store.committed.contains(gid); });
  }

  FakeDecisionTable table_;
};

TEST_F(LastResourceTest, CommitsWithNothingForcedAndTheRowGoesBeforeTheStoresForget) {
  Start();
  const TransactionOutcome outcome = Execute({"r", "a", "b"});
  ASSERT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  const Gid gid = *Gid::Parse(outcome.gid);
  EXPECT_EQ(gid.home, table_.home);
  EXPECT_EQ(log_->decisions(), 0) << "the log was asked for a decision";
  EXPECT_EQ(coordinator_->Find(gid), LoggedState::kEnded);
  EXPECT_TRUE(table_.ever_committed.contains(gid));
  EXPECT_TRUE(Rows()) << "it goes lazily";
  stores_["a"].With([&](FakeStore& store) { EXPECT_THAT(store.forgotten, IsEmpty()); });
  coordinator_.reset();
  EXPECT_FALSE(Rows());
  for (const char* name : {"a", "b"}) EXPECT_TRUE(stores_[name].forgotten.contains(gid));
}

TEST_F(LastResourceTest, RowsGoByThemselvesWhileItRuns) {
  Start();
  Execute({"r", "a"});
  Await([&] { return !Rows(); });
}

TEST_F(LastResourceTest, RowsAreKeptWhileTheyCannotBeRemovedAndSoIsWhatTheStoresKeep) {
  Start();
  const Gid gid = *Gid::Parse(Execute({"r", "a"}).gid);
  {
    const std::lock_guard lock(table_.mutex);
    table_.down = true;
  }
  coordinator_.reset();
  EXPECT_TRUE(Rows());
  EXPECT_THAT(stores_["a"].forgotten, IsEmpty());
  {
    const std::lock_guard lock(table_.mutex);
    table_.down = false;
  }
  Start();
  EXPECT_THAT(Recover().transactions, IsEmpty()) << "it has ended";
  coordinator_.reset();
  EXPECT_FALSE(Rows());
  EXPECT_TRUE(stores_["a"].forgotten.contains(gid));
  EXPECT_EQ(stores_["a"].commits_told[gid], 1);
}

TEST_F(LastResourceTest, TakesNoPartInAPlainOne) {
  Start();
  const TransactionOutcome outcome = Execute({"a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted);
  EXPECT_EQ(Gid::Parse(outcome.gid)->home, "");
  EXPECT_EQ(log_->decisions(), 1);
  EXPECT_EQ(Gid::Parse(Execute({"r"}).gid)->home, "") << "alone it commits in one phase";
  EXPECT_THAT(table_.ever_committed, IsEmpty());
}

TEST_F(LastResourceTest, CommitsInOnePhaseWhenTheOthersOnlyRead) {
  Start();
  stores_["a"].votes = {VoteKind::kReadOnly};
  const TransactionOutcome outcome = Execute({"r", "a"});
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  EXPECT_THAT(table_.ever_committed, IsEmpty());
  EXPECT_THAT(stores_["r"].committed, SizeIs(1));
}

TEST_F(LastResourceTest, ItsRefusalRollsTheOthersBack) {
  Start();
  table_.fates = {Fate::kRefuses};
  const TransactionOutcome outcome = Execute({"r", "a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack);
  EXPECT_EQ(outcome.reason, "r: the test says so");
  EXPECT_EQ(outcome.participants[0].vote, VoteKind::kNo);
  for (const char* name : {"a", "b"}) EXPECT_THAT(stores_[name].rolled_back, SizeIs(1));
  EXPECT_EQ(table_.asks, 0) << "nothing is in doubt";
}

TEST_F(LastResourceTest, NoOfAnotherLeavesItAlone) {
  Start();
  stores_["a"].votes = {VoteKind::kNo};
  EXPECT_EQ(Execute({"r", "a", "b"}).outcome, Outcome::kRolledBack);
  EXPECT_THAT(table_.ever_committed, IsEmpty());
  EXPECT_THAT(table_.aborts, IsEmpty());
}

TEST_F(LastResourceTest, LostReplyIsAskedForUntilItAnswers) {
  Start();
  table_.fates = {Fate::kLosesReply};
  table_.ask_answers = {false, false, true};
  EXPECT_EQ(Execute({"r", "a", "b"}).outcome, Outcome::kCommitted);
  EXPECT_EQ(table_.asks, 3);

  table_.fates = {Fate::kStaysAway};
  const TransactionOutcome outcome = Execute({"r", "a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kRolledBack) << "the abort row stands";
  EXPECT_FALSE(table_.CommitLate(*Gid::Parse(outcome.gid))) << "it came after the abort";
}

TEST_F(LastResourceTest, InDoubtToTheClientWhileNobodyCanTellAndSettledLater) {
  Start();
  table_.fates = {Fate::kLosesReply};
  table_.down = true;
  TransactionRequest request = Request({"r", "a", "b"});
  request.timeout = std::chrono::milliseconds(100);
  const TransactionOutcome outcome = Submit(std::move(request)).get();
  EXPECT_EQ(outcome.outcome, Outcome::kInDoubt);
  EXPECT_THAT(outcome.reason, HasSubstr("r: no answer to its commit"));
  for (const char* name : {"a", "b"}) EXPECT_THAT(stores_[name].prepared, SizeIs(1));
  EXPECT_EQ(outcome.participants[0].ack, AckState::kUnknown) << "it may have committed";
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_TRUE(list) << list.error().ToString();
  ASSERT_THAT(list->transactions, SizeIs(1)) << "its locks are held: it must be seen";
  EXPECT_EQ(list->transactions[0].gid, outcome.gid);
  EXPECT_EQ(list->transactions[0].outcome, Outcome::kInDoubt);
  EXPECT_THAT(list->notices, testing::Contains(HasSubstr("cannot be listed")));
  {
    const std::lock_guard lock(table_.mutex);
    table_.down = false;
  }
  const Gid gid = *Gid::Parse(outcome.gid);
  Await([&] { return coordinator_->Find(gid) == LoggedState::kEnded; });
  EXPECT_TRUE(CommittedAt("b", gid));
}

TEST_F(LastResourceTest, RecoveryCommitsWhatTheTableHoldsAndAsksForTheRest) {
  const Gid decided = Earlier(1), orphan = Earlier(2), late = Earlier(3);
  Prepared(decided, {"a", "b"});
  Prepared(orphan, {"a"});
  Prepared(late, {"a", "b"});
  table_.commits[decided] = {{"a", "token of a"}, {"b", "token of b"}};
  Start();
  Restart();
  // It commits between the reading of the table and the question.
  stores_["b"].on_list = [&] {
    const std::lock_guard lock(table_.mutex);
    if (stores_["b"].listings % 2 == 0) {
      table_.commits.try_emplace(
          late, std::vector<BranchRecord>{{"a", "token of a"}, {"b", "token of b"}});
    }
  };
  const RecoveryReport report = Recover();
  EXPECT_EQ(report.committed, 2);
  EXPECT_EQ(report.rolled_back, 1);
  EXPECT_EQ(report.in_doubt, 0);
  EXPECT_TRUE(CommittedAt("a", decided) && CommittedAt("b", decided));
  EXPECT_TRUE(CommittedAt("a", late) && CommittedAt("b", late));
  EXPECT_TRUE(table_.aborts.contains(orphan));
  EXPECT_TRUE(stores_["a"].rolled_back.contains(orphan));
  stores_["b"].on_list = nullptr;
  EXPECT_THAT(Recover().transactions, IsEmpty()) << "a second pass changes nothing";
}

TEST_F(LastResourceTest, OrphanStaysInDoubtWhileItsTableCannotBeAsked) {
  const Gid orphan = Earlier(2);
  Prepared(orphan, {"a"});
  Start();
  Restart();
  table_.ask_answers = {false};
  EXPECT_EQ(Recover().in_doubt, 1);
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
  EXPECT_EQ(Recover().rolled_back, 1);
}

TEST_F(LastResourceTest, OrphanStaysInDoubtWithoutItsLastResource) {
  const Gid orphan = Earlier(2);
  Prepared(orphan, {"a"});
  Start();
  Restart(/*configured=*/false);
  RecoveryReport report = Recover();
  EXPECT_EQ(report.in_doubt, 1);
  ASSERT_THAT(report.notices, SizeIs(1));
  EXPECT_THAT(report.notices[0], HasSubstr("decision table q4tz7"));
  table_.home = "other";
  Restart();
  EXPECT_EQ(Recover().in_doubt, 1) << "another table decides nothing of it";
  EXPECT_THAT(stores_["a"].rollbacks_told, IsEmpty());
  EXPECT_THAT(table_.aborts, IsEmpty());
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_THAT(list->transactions, SizeIs(1));
  EXPECT_THAT(list->transactions[0].note, HasSubstr("decision table q4tz7"));
}

TEST_F(LastResourceTest, ListShowsWhatIsDecidedAndNotApplied) {
  const Gid decided = Earlier(1);
  table_.commits[decided] = {{"a", "token of a"}, {"b", "token of b"}};
  Start();
  Restart();
  const auto list = coordinator_->List(In(std::chrono::seconds(5)));
  ASSERT_THAT(list->transactions, SizeIs(1));
  EXPECT_EQ(list->transactions[0].gid, decided.ToString());
  EXPECT_EQ(list->transactions[0].outcome, Outcome::kCommitted);
}

TEST_F(LastResourceTest, EarlierIncarnationsAreClosedBeforeAnybodyIsAsked) {
  Start();
  Restart();
  Recover();
  ASSERT_FALSE(table_.floors.empty());
  EXPECT_EQ(table_.floors[0].incarnation, 2u);
  EXPECT_EQ(table_.floors[0].log, log_->id());
}

TEST_F(LastResourceTest, HeuristicOutcomeCannotBeForgottenBeforeTheRowHasGone) {
  Start();
  stores_["a"].commit_acks = {AckKind::kHeuristic};
  stores_["b"].down = false;
  const TransactionOutcome outcome = Execute({"r", "a", "b"});
  EXPECT_EQ(outcome.outcome, Outcome::kHeuristic);
  const Gid gid = *Gid::Parse(outcome.gid);
  EXPECT_TRUE(coordinator_->Forget(gid, {}).ok());

  const Gid unended = Earlier(9);
  table_.commits[unended] = {{"a", "t"}};
  log_->RecordHeuristic({unended, "a", DecisionOutcome::kCommitted, "by hand", "now"},
                        [](const Status&) {});
  EXPECT_EQ(coordinator_->Forget(unended, {}).code(), StatusCode::kRefused);
}

TEST_F(LastResourceTest, ARowThatWaitsToGoLeavesTheHeuristicOutcomeToAPerson) {
  const Gid gid = Earlier(1);
  const std::vector<BranchRecord> branches{{"a", "token of a"}, {"b", "token of b"}};
  table_.commits[gid] = branches;
  Prepared(gid, {"b"});
  stores_["a"].commit_acks = {AckKind::kHeuristic};
  Start();
  Restart();
  Recover();
  ASSERT_TRUE(Eventually([&] { return coordinator_->Find(gid) == LoggedState::kEnded; }));
  {
    // As when it could not be removed before the coordinator ended.
    const std::lock_guard lock(table_.mutex);
    table_.commits[gid] = branches;
  }
  Recover();
  const auto forgotten = [&](const char* name) {
    return stores_.at(name).With(
        [&](const FakeStore& store) { return store.forgotten.contains(gid); });
  };
  ASSERT_TRUE(Eventually([&] { return !Rows() && forgotten("b"); }));
  EXPECT_FALSE(forgotten("a")) << "nobody has forgotten its heuristic outcome";
  EXPECT_TRUE(coordinator_->Forget(gid, {}).ok());
  EXPECT_TRUE(forgotten("a"));
}

TEST_F(LastResourceTest, ARowThatWaitsToGoIsNoDecisionWhenTheLogHasForgottenItsEnd) {
  const Gid gid = Earlier(1);
  table_.commits[gid] = {{"a", "token of a"}, {"b", "token of b"}};
  Prepared(gid, {"a", "b"});
  Start();
  Restart();
  log_->HoldCallbacks();  // the end's sync takes long
  Recover();
  ASSERT_TRUE(Eventually([&] { return coordinator_->Find(gid) == LoggedState::kEnded; }));
  log_->ForgetEnded();
  Recover();
  EXPECT_TRUE(Rows());
  log_->Release();
  ASSERT_TRUE(Eventually([&] { return !Rows(); }));
  EXPECT_EQ(stores_["a"].With([&](FakeStore& store) { return store.commits_told[gid]; }), 1);
}

TEST_F(LastResourceTest, RequestWithAnIdIsDecidedByTheLogWhichRemembersIt) {
  Start();
  TransactionRequest request = Request({"r", "a"});
  request.request_id = "order:1";
  const TransactionOutcome first = Submit(request).get();
  ASSERT_EQ(first.outcome, Outcome::kCommitted) << first.reason;
  EXPECT_EQ(Gid::Parse(first.gid)->home, "");
  EXPECT_EQ(log_->decisions(), 1);
  Restart();
  const TransactionOutcome again = Submit(request).get();
  EXPECT_EQ(again.outcome, Outcome::kCommitted);
  EXPECT_EQ(again.gid, first.gid);
  EXPECT_TRUE(again.asked_before);
}

TEST_F(LastResourceTest, NobodyDecidesByHandWhatTheRowDecides) {
  Start();
  const Gid gid = Earlier(9);
  table_.commits[gid] = {{"a", "t"}};
  Prepared(gid, {"a"});
  const auto refused = coordinator_->Resolve({gid, DecisionOutcome::kAborted, {}, true, {}},
                                             In(std::chrono::seconds(5)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), StatusCode::kRefused);
  EXPECT_THAT(refused.error().message(), HasSubstr("decision table"));
  EXPECT_TRUE(stores_.at("a").With([&](const FakeStore& store) {
    return store.prepared.contains(gid) || store.committed.contains(gid);
  }));
}

TEST_F(LastResourceTest, OneAtMost) {
  std::vector<std::unique_ptr<Participant>> two;
  for (const char* name : {"r", "s"}) {
    two.push_back(std::make_unique<FakeLastResource>(name, stores_[name], table_));
  }
  EXPECT_EQ(Coordinator::Start(options_, MakeLog(), std::move(two)).error().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace indoubt
