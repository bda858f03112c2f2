// All that can happen to a transaction over two participants, followed to the end:
// every vote, every order of answers, lost replies with and without an effect,
// timeouts anywhere, a log that fails, heuristic participants. The same beside a last
// resource, whose commit may come late or never. Small enough to be exhaustive within its
// budget of faults.
#include <gtest/gtest.h>

#include "coordinator/transaction.h"

namespace indoubt {
namespace {

enum class Store { kNothing, kPrepared, kCommitted, kRolledBack };
/// The row of the transaction in the last resource's table. kUnderWay: a commit that
/// nobody hears of any more.
enum class Row { kNone, kUnderWay, kCommit, kAbort };

// How many replies may get lost in one life. Two need an optimised build.
#ifdef NDEBUG
constexpr int kLostReplies = 2;
#else
constexpr int kLostReplies = 1;
#endif

/// Everything: the machine, and the world around it.
struct World {
  explicit World(bool last_resource = false)
      : machine(last_resource
                    ? Transaction(*Gid::Parse("n.aaaaaaaaaa.1.1.q4tz7"), {"a", "b", "r"}, 2)
                    : Transaction(*Gid::Parse("n.aaaaaaaaaa.1.1"), {"a", "b"})),
        has_last_resource(last_resource) {}

  Transaction machine;
  bool has_last_resource;
  Row row = Row::kNone;
  Store stores[2] = {Store::kNothing, Store::kNothing};
  bool voted_yes[2] = {false, false};
  bool heuristic[2] = {false, false};
  bool commit_recorded = false;
  int answers = 0;
  Outcome answer = Outcome::kInDoubt;
  int lost_replies = kLostReplies;  // how many more may get lost
  int heuristics = 1;
  bool may_time_out = true;
  bool caller_may_time_out = true;
  std::vector<Action> open;  // actions without an answer
};

class Explorer {
 public:
  void Explore(const World& world) {
    ++states_;
    CheckCrashHere(world);
    if (testing::Test::HasFailure()) return;
    for (size_t i = 0; i < world.open.size(); ++i) AnswerOpen(world, i);
    if (world.may_time_out) {
      World next = world;
      next.may_time_out = false;
      Feed(std::move(next), TimedOut{});
    }
    if (world.caller_may_time_out && !world.may_time_out) {
      World next = world;
      next.caller_may_time_out = false;
      Feed(std::move(next), CallerTimedOut{});
    }
    if (world.row == Row::kUnderWay) {
      World next = world;  // the backend of a lost connection goes on
      Commit(next);
      Explore(next);
    }
    if (world.open.empty()) CheckEnd(world);
  }

  void Begin(bool last_resource) { Feed(World(last_resource), Started{}); }
  int64_t states() const { return states_; }
  int64_t ends() const { return ends_; }

 private:
  void Feed(World world, const Event& event) {
    for (Action& action : world.machine.Step(event)) {
      if (const Answer* answer = std::get_if<Answer>(&action)) {
        ++world.answers;
        world.answer = answer->outcome;
      } else if (!std::holds_alternative<Release>(action)) {
        world.open.push_back(std::move(action));
      }
    }
    Explore(world);
  }

  void AnswerOpen(const World& world, size_t index) {
    const Action action = world.open[index];
    World next = world;
    next.open.erase(next.open.begin() + static_cast<std::ptrdiff_t>(index));
    std::visit([&](const auto& specific) { Answered(std::move(next), specific); }, action);
  }

  void Answered(World world, const AskPrepare& ask) {
    const size_t p = ask.participant;
    for (VoteKind kind : {VoteKind::kYes, VoteKind::kReadOnly, VoteKind::kNo}) {
      World next = world;
      if (kind == VoteKind::kYes) next.stores[p] = Store::kPrepared;
      next.voted_yes[p] = kind == VoteKind::kYes;
      Feed(std::move(next), Voted{p, {kind, "t", "because"}});
    }
    for (bool effect : {false, true}) {
      World next = world;
      if (effect) next.stores[p] = Store::kPrepared;
      Feed(std::move(next), Voted{p, {VoteKind::kUnknown, "", "lost"}});
    }
  }

  void Answered(World world, const Propose& propose) {
    if (propose.outcome == DecisionOutcome::kAborted) {
      Feed(std::move(world), Decided{DecisionOutcome::kAborted, ""});
      return;
    }
    for (bool survives : {false, true}) {
      World next = world;
      next.commit_recorded = survives;
      Feed(std::move(next), Decided{DecisionOutcome::kUnknown, "sync failed"});
    }
    World refused = world;
    Feed(std::move(refused), Decided{DecisionOutcome::kAborted, "another decided"});
    world.commit_recorded = true;
    Feed(std::move(world), Decided{DecisionOutcome::kCommitted, ""});
  }

  void Answered(World world, const TellCommit& tell) {
    EXPECT_TRUE(world.commit_recorded) << "told commit before it was durable";
    Told(std::move(world), tell.participant, Store::kCommitted);
  }

  void Answered(World world, const TellRollback& tell) {
    EXPECT_FALSE(world.commit_recorded) << "rolled back a recorded commit";
    // The adapter lets it take effect after an unanswered prepare.
    for (const Action& open : world.open) {
      const AskPrepare* ask = std::get_if<AskPrepare>(&open);
      if (ask && ask->participant == tell.participant) return;
    }
    Told(std::move(world), tell.participant, Store::kRolledBack);
  }

  void Told(World world, size_t p, Store effect) {
    if (world.lost_replies > 0) {
      for (bool applied : {false, true}) {
        World next = world;
        --next.lost_replies;
        if (applied && next.stores[p] == Store::kPrepared) next.stores[p] = effect;
        Feed(std::move(next), Acknowledged{p, {AckKind::kRetry, "lost"}});
      }
    }
    if (world.heuristics > 0 && world.stores[p] == Store::kPrepared) {
      World next = world;
      --next.heuristics;
      next.heuristic[p] = true;
      next.stores[p] = Store::kNothing;  // lost, or resolved by hand
      Feed(std::move(next), Acknowledged{p, {AckKind::kHeuristic, "by hand"}});
    }
    if (world.stores[p] == Store::kPrepared) world.stores[p] = effect;
    Feed(std::move(world), Acknowledged{p, {AckKind::kDone, ""}});
  }

  void Answered(World world, const StoreHeuristic& store) {
    World failed = world;
    Feed(std::move(failed), HeuristicStored{store.participant, false});
    Feed(std::move(world), HeuristicStored{store.participant, true});
  }
  void Answered(World world, const WriteEnd&) { Feed(std::move(world), EndWritten{}); }
  void Answered(World world, const AskOnePhase&) {
    ASSERT_TRUE(world.has_last_resource) << "two participants";
    for (OnePhaseKind kind :
         {OnePhaseKind::kCommitted, OnePhaseKind::kRolledBack, OnePhaseKind::kUnknown}) {
      Feed(world, OnePhaseEnded{kind, "one phase"});
    }
  }
  static void Commit(World& world) {
    world.row = Row::kCommit;
    world.commit_recorded = true;
  }
  void Answered(World world, const AskLastResource& ask) {
    for (const BranchRecord& branch : ask.branches) {
      EXPECT_TRUE(world.voted_yes[branch.participant == "b" ? 1 : 0]);
    }
    Feed(world, LastResourceEnded{OnePhaseKind::kRolledBack, "refused"});
    for (Row row : {Row::kNone, Row::kUnderWay, Row::kCommit}) {
      World next = world;
      next.row = row;
      if (row == Row::kCommit) Commit(next);
      Feed(std::move(next), LastResourceEnded{OnePhaseKind::kUnknown, "lost"});
    }
    Commit(world);
    Feed(std::move(world), LastResourceEnded{OnePhaseKind::kCommitted, ""});
  }
  void Answered(World world, const AskDecision&) {
    if (world.lost_replies > 0) {
      for (bool effect : {false, true}) {
        if (effect && world.row != Row::kNone) continue;
        World next = world;
        --next.lost_replies;
        if (effect) next.row = Row::kAbort;
        Feed(std::move(next), Decided{DecisionOutcome::kUnknown, "lost"});
      }
    }
    // An abort row waits for a commit under way, which may also fail.
    if (world.row == Row::kUnderWay) {
      World committed = world;
      Commit(committed);
      Feed(std::move(committed), Decided{DecisionOutcome::kCommitted, ""});
    }
    const bool commit = world.row == Row::kCommit;
    if (!commit) world.row = Row::kAbort;
    Feed(std::move(world),
         Decided{commit ? DecisionOutcome::kCommitted : DecisionOutcome::kAborted, ""});
  }
  void Answered(World, const Answer&) {}
  void Answered(World, const Release&) {}

  /// Were the coordinator to die now, recovery could still bring all to one end.
  static void CheckCrashHere(const World& world) {
    for (int p = 0; p < 2; ++p) {
      if (world.commit_recorded) {
        EXPECT_NE(world.stores[p], Store::kRolledBack);
        const bool lost = world.voted_yes[p] && world.stores[p] == Store::kNothing;
        EXPECT_TRUE(!lost || world.heuristic[p]);
      } else {
        EXPECT_NE(world.stores[p], Store::kCommitted);
      }
    }
    EXPECT_LE(world.answers, 1);
  }

  void CheckEnd(const World& world) {
    ++ends_;
    if (world.machine.state() == TransactionState::kInDoubt) {
      EXPECT_EQ(world.answer, Outcome::kInDoubt);
      return;
    }
    ASSERT_EQ(world.machine.state(), TransactionState::kEnded);
    ASSERT_EQ(world.answers, 1);
    for (int p = 0; p < 2; ++p) EXPECT_NE(world.stores[p], Store::kPrepared) << "left in doubt";
    switch (world.answer) {
      case Outcome::kCommitted:
        for (int p = 0; p < 2; ++p) {
          const std::optional<VoteKind> vote = world.machine.branches()[p].vote;
          EXPECT_NE(vote, VoteKind::kNo);
          EXPECT_NE(vote, VoteKind::kUnknown);
          if (world.voted_yes[p]) {
            EXPECT_EQ(world.stores[p], Store::kCommitted);
          }
        }
        return;
      case Outcome::kRolledBack:
        EXPECT_FALSE(world.commit_recorded);
        return;
      case Outcome::kHeuristic:
        EXPECT_TRUE(world.heuristic[0] || world.heuristic[1]);
        return;
      case Outcome::kInDoubt:
        EXPECT_TRUE(!world.caller_may_time_out || world.has_last_resource);
        return;
    }
  }

  int64_t states_ = 0;
  int64_t ends_ = 0;
};

class ExplorationTest : public testing::TestWithParam<bool> {};

TEST_P(ExplorationTest, TwoParticipantsEndTheSameWhateverHappens) {
  Explorer explorer;
  explorer.Begin(/*last_resource=*/GetParam());
  RecordProperty("states", std::to_string(explorer.states()));
  std::printf("%lld states, %lld ends\n", static_cast<long long>(explorer.states()),
              static_cast<long long>(explorer.ends()));
  EXPECT_GT(explorer.ends(), 1000);
}

INSTANTIATE_TEST_SUITE_P(Decided, ExplorationTest, testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AtALastResource" : "InTheLog";
                         });

}  // namespace
}  // namespace indoubt
