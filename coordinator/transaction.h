// Two-phase commit with presumed abort, as a pure state machine: Step(event)
// gives actions. No I/O, clock, thread, log line or randomness in here.
// Production, recovery and the exhaustive exploration of the tests run this one.
//
//   kBegun --one participant--> kOnePhase --its answer------------------+
//     |                             ^                                   |
//     | prepare, to all at once     | a last resource, and every        |
//     | (not to a last resource)    | other vote read-only              |
//     v                             |                                   |
//   kPreparing ---------------------+--every vote read-only-------------+
//     |    |                                                            |
//     |    | every vote yes or read-only, and a last resource:          |
//     |    | its commit carries the decision                            |
//     |    +------------> kLastResource --no answer--> kAsking          |
//     |                    |         |                 |     |          |
//     |          committed |         | rolled   commit |     | abort    |
//     |                    |         | back     stands |     | stands   |
//     | every vote yes or read-only: propose commit    |     |          |
//     | a no, an unknown or the timeout: propose abort |     |          |
//     v                    |         |                 |     |          |
//   kDeciding --the log cannot say--> kInDoubt   (restart decides)      |
//     |             |      |         |                 |     |          |
//     | commit      | abort|         |                 |     |          |
//     v <-----------|------+---------|-----------------+     |          |
//   kCommitting     v <--------------+-----------------------+          |
//     |           kRollingBack --every acknowledgement, or given up-----+
//     |                                                                 |
//     | every acknowledgement                                           |
//     v                                                                 v
//   kEnding --------------end record written------------------------> kEnded
//
// Recovery enters with a commit record or row at kCommitting; with an orphan (neither) at
// kDeciding, proposing abort, or at kAsking where its gid names a last resource.
//
// What a state still permits:
//   kBegun, kPreparing   the coordinator may abort on its own
//   kOnePhase            the participant decides; nothing can be taken back
//   kLastResource        the last resource decides; nothing can be taken back
//   kAsking              ask, again and again, which decision stands there
//   kDeciding            commit proposed: only the log's answer counts
//   kCommitting          commit, again and again, until each has answered
//   kRollingBack         roll back; giving up is safe, since recovery presumes abort
//   kInDoubt             nothing: no commit, no roll back, in this process
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "coordinator/action.h"
#include "coordinator/event.h"

namespace indoubt {

enum class TransactionState {
  kBegun,
  kPreparing,
  kOnePhase,
  kLastResource,
  kAsking,
  kDeciding,
  kCommitting,
  kRollingBack,
  kInDoubt,
  kEnding,
  kEnded,
};
const char* ToString(TransactionState state);

/// How far one participant's part has come.
enum class BranchPhase {
  kIdle,       // not asked for anything
  kAsked,      // prepare, one-phase or last resource's commit sent, no answer
  kVoted,      // voted yes or unknown; waits for the decision
  kTold,       // told the decision, not acknowledged
  kRecording,  // heuristic, not yet durable in the log
  kDone,       // needs nothing more
};

struct BranchState {
  std::string name;
  BranchPhase phase = BranchPhase::kIdle;
  std::optional<VoteKind> vote;
  Token token;
  AckState ack = AckState::kNone;
  int attempts = 0;    // answered with kRetry
  std::string reason;  // of the last retry or of the heuristic
};

/// What a new transaction does otherwise than the usual one.
struct TransactionTraits {
  /// A lone participant prepares too: its commit has to be in the log.
  bool always_decide = false;
  /// A commit is answered as soon as it is decided.
  bool answer_decided = false;
};

/// A value. Belongs to one thread at a time.
class Transaction {
 public:
  /// After this many unanswered roll backs a branch is left to the orphan scan.
  static constexpr int kRollbackAttempts = 8;

  /// A new transaction over these participants; at least one (checked). With a last
  /// resource (its position), there are others, and `gid` names its home (checked).
  Transaction(Gid gid, std::vector<std::string> participants,
              std::optional<size_t> last_resource = {}, TransactionTraits traits = {});
  /// One whose commit record recovery has found.
  static Transaction RecoveredCommit(const Decision& decision);
  /// Branches that are prepared while the log knows no commit.
  static Transaction RecoveredOrphan(const Gid& gid, const std::vector<BranchRecord>& branches);

  /// Takes one event; the actions are to be done in their order. Aborts the
  /// process on an event that cannot happen in this state (a bug in the driver).
  std::vector<Action> Step(const Event& event);
  /// The same, behind what `actions` holds already.
  void Step(const Event& event, std::vector<Action>& actions);

  const Gid& gid() const { return gid_; }
  TransactionState state() const { return state_; }
  const std::vector<BranchState>& branches() const { return branches_; }
  std::optional<size_t> last_resource() const { return last_resource_; }
  bool recovered() const { return entry_ != Entry::kNew; }
  bool answered() const { return answered_; }
  /// How often the last resource could not tell which decision stands.
  int asked_in_vain() const { return asked_in_vain_; }
  /// Whether its end was, or is being, recorded.
  bool end_recorded() const { return end_recorded_; }
  /// The decision that stands; none before there is one.
  std::optional<DecisionOutcome> decision() const { return decision_; }
  const TransactionTraits& traits() const { return traits_; }
  /// How it would be answered now.
  Answer CurrentAnswer() const;
  /// The branches as the caller sees them.
  std::vector<ParticipantOutcome> Participants() const;

 private:
  enum class Entry { kNew, kRecoveredCommit, kRecoveredOrphan };

  void On(const Started&, std::vector<Action>& actions);
  void On(const Voted& event, std::vector<Action>& actions);
  void On(const OnePhaseEnded& event, std::vector<Action>& actions);
  void On(const LastResourceEnded& event, std::vector<Action>& actions);
  void On(const TimedOut&, std::vector<Action>& actions);
  void On(const GaveUp& event, std::vector<Action>& actions);
  void On(const Decided& event, std::vector<Action>& actions);
  void On(const Acknowledged& event, std::vector<Action>& actions);
  void On(const HeuristicStored& event, std::vector<Action>& actions);
  void On(const EndWritten&, std::vector<Action>& actions);
  void On(const CallerTimedOut&, std::vector<Action>& actions);

  void RecordVote(BranchState& branch, const Vote& vote);
  void CountVotes(std::vector<Action>& actions);
  void AskForTheDecision(std::vector<Action>& actions);
  void OnStanding(const Decided& event, std::vector<Action>& actions);
  void Carry(DecisionOutcome decision, std::vector<Action>& actions);
  void ProposeAbort(StatusCode code, std::string reason, std::vector<Action>& actions);
  void TellAll(std::vector<Action>& actions);
  void Tell(size_t participant, std::vector<Action>& actions);
  void FinishIfDone(std::vector<Action>& actions);
  void Reply(std::vector<Action>& actions);
  void End(std::vector<Action>& actions);
  std::string Missing() const;

  Gid gid_;
  Entry entry_ = Entry::kNew;
  TransactionTraits traits_;
  TransactionState state_ = TransactionState::kBegun;
  std::vector<BranchState> branches_;
  std::optional<size_t> last_resource_;
  int asked_in_vain_ = 0;
  std::optional<DecisionOutcome> proposed_;
  std::optional<DecisionOutcome> decision_;
  bool answered_ = false;
  /// A heuristic is not durable, or the row may name more branches: keep the commit record.
  bool end_blocked_ = false;
  bool end_recorded_ = false;
  bool one_phase_unknown_ = false;
  StatusCode code_ = StatusCode::kOk;  // why it does not commit
  std::string reason_;
};

}  // namespace indoubt
