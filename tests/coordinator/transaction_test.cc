// Every path of the state machine, step by step.
#include "coordinator/transaction.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

Gid AnyGid() { return *Gid::Parse("n.aaaaaaaaaa.1.1"); }

/// The actions as short words, to compare a whole step at once.
std::vector<std::string> Words(const std::vector<Action>& actions) {
  struct Namer {
    std::string operator()(const AskPrepare& a) {
      return fmt::format("prepare {}", a.participant);
    }
    std::string operator()(const AskOnePhase&) { return "one-phase"; }
    std::string operator()(const AskLastResource& a) {
      return fmt::format("last resource {} with {}", a.participant, a.branches.size());
    }
    std::string operator()(const AskDecision& a) { return fmt::format("ask #{}", a.attempt); }
    std::string operator()(const Propose& a) {
      if (a.outcome == DecisionOutcome::kAborted) return "propose abort";
      return fmt::format("propose commit of {}", a.branches.size());
    }
    std::string operator()(const TellCommit& a) {
      return fmt::format("commit {} #{}", a.participant, a.attempt);
    }
    std::string operator()(const TellRollback& a) {
      return fmt::format("rollback {} #{}", a.participant, a.attempt);
    }
    std::string operator()(const StoreHeuristic& a) {
      return fmt::format("heuristic {}", a.participant);
    }
    std::string operator()(const WriteEnd&) { return "end"; }
    std::string operator()(const Answer& a) { return ToString(a.outcome); }
    std::string operator()(const Release&) { return "release"; }
  };
  std::vector<std::string> words;
  for (const Action& action : actions) words.push_back(std::visit(Namer(), action));
  return words;
}

Voted VoteOf(size_t participant, VoteKind kind) {
  return {participant, {kind, kind == VoteKind::kYes ? "t" : "", "because"}};
}
Acknowledged AckOf(size_t participant, AckKind kind) {
  return {participant, {kind, "because"}};
}

class TransactionTest : public testing::Test {
 protected:
  std::vector<std::string> Step(const Event& event) {
    std::vector<Action> actions = transaction_.Step(event);
    for (const Action& action : actions) {
      if (const Answer* answer = std::get_if<Answer>(&action)) answer_ = *answer;
    }
    return Words(actions);
  }
  /// Participant 2 is the last resource, asked to commit; 0 and 1 have voted yes.
  void ReachLastResource() {
    transaction_ = Transaction(*Gid::Parse("n.aaaaaaaaaa.1.1.q4tz7"), {"a", "b", "r"}, 2);
    EXPECT_EQ(Step(Started{}), (std::vector<std::string>{"prepare 0", "prepare 1"}));
    Step(VoteOf(0, VoteKind::kYes));
    EXPECT_EQ(Step(VoteOf(1, VoteKind::kYes)),
              (std::vector<std::string>{"last resource 2 with 2"}));
  }
  void ReachCommitting() {
    Step(Started{});
    Step(VoteOf(0, VoteKind::kYes));
    Step(VoteOf(1, VoteKind::kYes));
    Step(Decided{DecisionOutcome::kCommitted, ""});
  }

  Transaction transaction_{AnyGid(), {"a", "b"}};
  Answer answer_;
};

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(TransactionTest, PreparesAndCommitsAllAtOnce) {
  EXPECT_THAT(Step(Started{}), ElementsAre("prepare 0", "prepare 1"));
  EXPECT_THAT(Step(VoteOf(1, VoteKind::kYes)), IsEmpty());
  EXPECT_THAT(Step(VoteOf(0, VoteKind::kYes)), ElementsAre("propose commit of 2"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kCommitted, ""}),
              ElementsAre("commit 0 #0", "commit 1 #0"));
  EXPECT_THAT(Step(AckOf(0, AckKind::kDone)), IsEmpty());
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("end", "committed"));
  EXPECT_THAT(Step(EndWritten{}), ElementsAre("release"));
  EXPECT_EQ(transaction_.state(), TransactionState::kEnded);
}

TEST_F(TransactionTest, LoneParticipantCommitsInOnePhase) {
  transaction_ = Transaction(AnyGid(), {"a"});
  EXPECT_THAT(Step(Started{}), ElementsAre("one-phase"));
  EXPECT_THAT(Step(TimedOut{}), IsEmpty());
  EXPECT_THAT(Step(OnePhaseEnded{OnePhaseKind::kCommitted, ""}),
              ElementsAre("committed", "release"));
}

TEST_F(TransactionTest, OnePhaseWithoutAnswerIsInDoubt) {
  transaction_ = Transaction(AnyGid(), {"a"});
  Step(Started{});
  EXPECT_THAT(Step(OnePhaseEnded{OnePhaseKind::kUnknown, "gone"}),
              ElementsAre("in_doubt", "release"));
  EXPECT_THAT(answer_.reason, HasSubstr("a: "));
  EXPECT_EQ(answer_.code, StatusCode::kUnavailable);
}

TEST_F(TransactionTest, OnePhaseRefusedIsRolledBack) {
  transaction_ = Transaction(AnyGid(), {"a"});
  Step(Started{});
  EXPECT_THAT(Step(OnePhaseEnded{OnePhaseKind::kRolledBack, "constraint"}),
              ElementsAre("rolled_back", "release"));
  EXPECT_EQ(answer_.reason, "a: constraint");
}

TEST_F(TransactionTest, ReadOnlyVoterHasNoSecondPhase) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kReadOnly));
  EXPECT_THAT(Step(VoteOf(1, VoteKind::kYes)), ElementsAre("propose commit of 1"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kCommitted, ""}), ElementsAre("commit 1 #0"));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("end", "committed"));
}

TEST_F(TransactionTest, AllReadOnlyNeedsNoDecision) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kReadOnly));
  EXPECT_THAT(Step(VoteOf(1, VoteKind::kReadOnly)), ElementsAre("committed", "release"));
}

TEST_F(TransactionTest, NoAbortsAndTellsOnlyTheOthers) {
  Step(Started{});
  EXPECT_THAT(Step(VoteOf(0, VoteKind::kNo)), ElementsAre("propose abort"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kAborted, ""}), ElementsAre("rollback 1 #0"));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("rolled_back", "release"));
  EXPECT_EQ(answer_.reason, "a: because");
  EXPECT_EQ(answer_.code, StatusCode::kAborted);
}

TEST_F(TransactionTest, UnknownVoteAbortsAndIsStillTold) {
  Step(Started{});
  Step(VoteOf(1, VoteKind::kYes));
  EXPECT_THAT(Step(VoteOf(0, VoteKind::kUnknown)), ElementsAre("propose abort"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kAborted, ""}),
              ElementsAre("rollback 0 #0", "rollback 1 #0"));
  EXPECT_EQ(transaction_.CurrentAnswer().code, StatusCode::kUnavailable);
}

TEST_F(TransactionTest, TimeoutBeforeTheDecisionAbortsAndNamesWhoIsMissing) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kYes));
  EXPECT_THAT(Step(TimedOut{}), ElementsAre("propose abort"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kAborted, ""}),
              ElementsAre("rollback 0 #0", "rollback 1 #0"));
  Step(AckOf(0, AckKind::kDone));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("rolled_back", "release"));
  EXPECT_EQ(answer_.reason, "no vote of b before the timeout");
  EXPECT_THAT(Step(VoteOf(1, VoteKind::kYes)), IsEmpty()) << "a late vote changes nothing";
}

TEST_F(TransactionTest, TimeoutAfterTheDecisionChangesOnlyWhatTheCallerIsTold) {
  ReachCommitting();
  EXPECT_THAT(Step(TimedOut{}), IsEmpty());
  Step(AckOf(0, AckKind::kDone));
  EXPECT_THAT(Step(CallerTimedOut{}), ElementsAre("in_doubt"));
  EXPECT_THAT(answer_.reason, HasSubstr("b"));
  EXPECT_THAT(Step(AckOf(1, AckKind::kRetry)), ElementsAre("commit 1 #1"));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("end"));
}

TEST_F(TransactionTest, TimeoutWhileTheLogDecidesDoesNotAbort) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kYes));
  Step(VoteOf(1, VoteKind::kYes));
  EXPECT_THAT(Step(TimedOut{}), IsEmpty());
  EXPECT_THAT(Step(CallerTimedOut{}), ElementsAre("in_doubt"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kCommitted, ""}),
              ElementsAre("commit 0 #0", "commit 1 #0"));
}

TEST_F(TransactionTest, FailedDecisionIsInDoubtAndRollsNothingBack) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kYes));
  Step(VoteOf(1, VoteKind::kYes));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kUnknown, "sync failed"}), ElementsAre("in_doubt"));
  EXPECT_EQ(answer_.code, StatusCode::kIoError);
  EXPECT_THAT(Step(TimedOut{}), IsEmpty());
  EXPECT_THAT(Step(CallerTimedOut{}), IsEmpty());
  EXPECT_EQ(transaction_.state(), TransactionState::kInDoubt);
}

TEST_F(TransactionTest, CommitIsAskedUntilItAnswers) {
  ReachCommitting();
  Step(AckOf(1, AckKind::kDone));
  for (int attempt = 1; attempt < 100; ++attempt) {
    EXPECT_THAT(Step(AckOf(0, AckKind::kRetry)),
                ElementsAre(fmt::format("commit 0 #{}", attempt)));
  }
  EXPECT_THAT(Step(AckOf(0, AckKind::kDone)), ElementsAre("end", "committed"));
}

TEST_F(TransactionTest, RollBackIsAnsweredAfterOneTryAndGivenUpAfterSome) {
  Step(Started{});
  Step(VoteOf(0, VoteKind::kNo));
  Step(Decided{DecisionOutcome::kAborted, ""});
  EXPECT_THAT(Step(AckOf(1, AckKind::kRetry)), ElementsAre("rollback 1 #1", "rolled_back"));
  for (int attempt = 2; attempt < Transaction::kRollbackAttempts; ++attempt) {
    EXPECT_THAT(Step(AckOf(1, AckKind::kRetry)),
                ElementsAre(fmt::format("rollback 1 #{}", attempt)));
  }
  EXPECT_THAT(Step(AckOf(1, AckKind::kRetry)), ElementsAre("release"));
}

TEST_F(TransactionTest, HeuristicIsDurableBeforeTheEnd) {
  ReachCommitting();
  EXPECT_THAT(Step(AckOf(0, AckKind::kHeuristic)), ElementsAre("heuristic 0"));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), IsEmpty());
  EXPECT_THAT(Step(HeuristicStored{0, true}), ElementsAre("end", "heuristic"));
  EXPECT_THAT(answer_.reason, HasSubstr("a: resolved against the decision (commit)"));
}

TEST_F(TransactionTest, UnrecordedHeuristicKeepsTheCommitRecord) {
  ReachCommitting();
  Step(AckOf(1, AckKind::kDone));
  Step(AckOf(0, AckKind::kHeuristic));
  EXPECT_THAT(Step(HeuristicStored{0, false}), ElementsAre("heuristic", "release"));
}

TEST_F(TransactionTest, HeuristicCommitOfAnAbortedBranchIsReported) {
  Step(Started{});
  Step(VoteOf(1, VoteKind::kYes));
  Step(VoteOf(0, VoteKind::kNo));
  Step(Decided{DecisionOutcome::kAborted, ""});
  EXPECT_THAT(Step(AckOf(1, AckKind::kHeuristic)), ElementsAre("heuristic 1"));
  EXPECT_THAT(Step(HeuristicStored{1, true}), ElementsAre("heuristic", "release"));
}

TEST_F(TransactionTest, GivingUpBeforeAnybodyWasAskedTellsNobody) {
  EXPECT_THAT(Step(GaveUp{StatusCode::kIoError, "injected"}), ElementsAre("propose abort"));
  EXPECT_THAT(Step(Started{}), IsEmpty());
  EXPECT_THAT(Step(Decided{DecisionOutcome::kAborted, ""}),
              ElementsAre("rolled_back", "release"));
  EXPECT_EQ(answer_.reason, "injected");
}

TEST_F(TransactionTest, RecoveryEntersTheSecondPhase) {
  transaction_ = Transaction::RecoveredCommit({AnyGid(), {{"a", "t1"}, {"b", "t2"}}});
  EXPECT_THAT(Step(Started{}), ElementsAre("commit 0 #0", "commit 1 #0"));
  EXPECT_EQ(transaction_.branches()[1].token, "t2");
  Step(AckOf(0, AckKind::kDone));
  EXPECT_THAT(Step(AckOf(1, AckKind::kDone)), ElementsAre("end", "committed"));
}

TEST_F(TransactionTest, OrphanAsksTheLogBeforeItRollsBack) {
  transaction_ = Transaction::RecoveredOrphan(AnyGid(), {{"a", "t1"}});
  EXPECT_THAT(Step(Started{}), ElementsAre("propose abort"));
  EXPECT_THAT(Step(Decided{DecisionOutcome::kAborted, ""}), ElementsAre("rollback 0 #0"));
  EXPECT_THAT(Step(AckOf(0, AckKind::kDone)), ElementsAre("rolled_back", "release"));
}

TEST_F(TransactionTest, OrphanThatSomebodyCommittedIsCommitted) {
  transaction_ = Transaction::RecoveredOrphan(AnyGid(), {{"a", "t1"}});
  Step(Started{});
  EXPECT_THAT(Step(Decided{DecisionOutcome::kCommitted, ""}), ElementsAre("commit 0 #0"));
}

TEST_F(TransactionTest, ImpossibleEventsAbortTheProcess) {
  EXPECT_DEATH(Step(Decided{DecisionOutcome::kCommitted, ""}), "check failed");
  Step(Started{});
  EXPECT_DEATH(Step(AckOf(0, AckKind::kDone)), "check failed");
  Step(VoteOf(0, VoteKind::kYes));
  EXPECT_DEATH(Step(VoteOf(0, VoteKind::kYes)), "voted twice");
}

using Lines = std::vector<std::string>;

TEST_F(TransactionTest, LastResourceIsAskedLastAndItsCommitIsTheDecision) {
  ReachLastResource();
  EXPECT_EQ(Step(LastResourceEnded{OnePhaseKind::kCommitted, ""}),
            (Lines{"commit 0 #0", "commit 1 #0"}));
  Step(AckOf(0, AckKind::kDone));
  EXPECT_EQ(Step(AckOf(1, AckKind::kDone)), (Lines{"end", "committed"}));
  EXPECT_EQ(Step(EndWritten{}), (Lines{"release"}));
  const ParticipantOutcome last = transaction_.Participants()[2];
  EXPECT_EQ(last.ack, AckState::kCommitted);
  EXPECT_FALSE(last.vote) << "it was never asked for one";
}

TEST_F(TransactionTest, LastResourceThatRefusesRollsTheOthersBack) {
  ReachLastResource();
  EXPECT_EQ(Step(LastResourceEnded{OnePhaseKind::kRolledBack, "no money"}),
            (Lines{"rollback 0 #0", "rollback 1 #0"}));
  Step(AckOf(0, AckKind::kDone));
  EXPECT_EQ(Step(AckOf(1, AckKind::kDone)), (Lines{"rolled_back", "release"}));
  EXPECT_EQ(answer_.reason, "r: no money");
}

TEST_F(TransactionTest, LostReplyOfALastResourceIsAskedForUntilItAnswers) {
  ReachLastResource();
  EXPECT_EQ(Step(LastResourceEnded{OnePhaseKind::kUnknown, "gone"}), (Lines{"ask #0"}));
  EXPECT_EQ(Step(Decided{DecisionOutcome::kUnknown, "still away"}), (Lines{"ask #1"}));
  EXPECT_EQ(Step(TimedOut{}), Lines{}) << "nothing may be presumed";
  EXPECT_EQ(Step(CallerTimedOut{}), (Lines{"in_doubt"}));
  EXPECT_THAT(answer_.reason, testing::HasSubstr("r: no answer to its commit"));
  EXPECT_EQ(Step(Decided{DecisionOutcome::kCommitted, ""}),
            (Lines{"commit 0 #0", "commit 1 #0"}));
  Step(AckOf(0, AckKind::kDone));
  EXPECT_EQ(Step(AckOf(1, AckKind::kDone)), (Lines{"end"}));
}

TEST_F(TransactionTest, AbortThatStandsAtALastResourceRollsBack) {
  ReachLastResource();
  Step(LastResourceEnded{OnePhaseKind::kUnknown, "gone"});
  EXPECT_EQ(Step(Decided{DecisionOutcome::kAborted, ""}),
            (Lines{"rollback 0 #0", "rollback 1 #0"}));
}

TEST_F(TransactionTest, NoBeforeTheLastResourceIsAskedTouchesItNot) {
  transaction_ = Transaction(*Gid::Parse("n.aaaaaaaaaa.1.1.q4tz7"), {"r", "b"}, 0);
  EXPECT_EQ(Step(Started{}), (Lines{"prepare 1"}));
  EXPECT_EQ(Step(VoteOf(1, VoteKind::kNo)), (Lines{"propose abort"}));
  EXPECT_EQ(Step(Decided{DecisionOutcome::kAborted, ""}), (Lines{"rolled_back", "release"}));
  EXPECT_EQ(transaction_.Participants()[0].ack, AckState::kNone);
}

TEST_F(TransactionTest, LastResourceCommitsInOnePhaseWhenTheOthersOnlyRead) {
  transaction_ = Transaction(*Gid::Parse("n.aaaaaaaaaa.1.1.q4tz7"), {"a", "r"}, 1);
  Step(Started{});
  EXPECT_EQ(Step(VoteOf(0, VoteKind::kReadOnly)), (Lines{"one-phase"}));
  EXPECT_EQ(Step(OnePhaseEnded{OnePhaseKind::kCommitted, ""}), (Lines{"committed", "release"}));
  EXPECT_EQ(transaction_.Participants()[1].ack, AckState::kCommitted);
}

TEST_F(TransactionTest, OrphanOfALastResourceAsksBeforeItRollsBack) {
  const Gid gid = *Gid::Parse("n.aaaaaaaaaa.1.1.q4tz7");
  transaction_ = Transaction::RecoveredOrphan(gid, {{"a", "t"}});
  EXPECT_EQ(Step(Started{}), (Lines{"ask #0"}));
  EXPECT_EQ(Step(Decided{DecisionOutcome::kAborted, ""}), (Lines{"rollback 0 #0"}));

  transaction_ = Transaction::RecoveredOrphan(gid, {{"a", "t"}});
  Step(Started{});
  EXPECT_EQ(Step(Decided{DecisionOutcome::kCommitted, ""}), (Lines{"commit 0 #0"}));
  EXPECT_EQ(Step(AckOf(0, AckKind::kDone)), (Lines{"committed", "release"}))
      << "no end: the row may name others";
  EXPECT_FALSE(transaction_.end_recorded());
}

}  // namespace
}  // namespace indoubt
