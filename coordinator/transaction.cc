#include "coordinator/transaction.h"

#include <fmt/format.h>

#include "coordinator/invariants.h"

namespace indoubt {
namespace {

/// "name: reason", unless the reason names the participant already.
std::string Named(const std::string& name, const std::string& reason) {
  return reason.starts_with(name) ? reason : fmt::format("{}: {}", name, reason);
}

bool AwaitsDecision(const BranchState& branch) {
  return branch.phase == BranchPhase::kVoted || branch.phase == BranchPhase::kAsked;
}

}  // namespace

Transaction::Transaction(Gid gid, std::vector<std::string> participants,
                         std::optional<size_t> last_resource, TransactionTraits traits)
    : gid_(std::move(gid)), traits_(traits), last_resource_(last_resource) {
  INDOUBT_CHECK(!participants.empty(), "a transaction needs a participant");
  INDOUBT_CHECK(!last_resource || (*last_resource < participants.size() &&
                                   participants.size() > 1 && !gid_.home.empty()),
                "a last resource needs others, and a gid that names its home");
  branches_.resize(participants.size());
  for (size_t i = 0; i < participants.size(); ++i)
    branches_[i].name = std::move(participants[i]);
}

Transaction Transaction::RecoveredCommit(const Decision& decision) {
  Transaction transaction = RecoveredOrphan(decision.gid, decision.branches);
  transaction.entry_ = Entry::kRecoveredCommit;
  for (BranchState& branch : transaction.branches_) branch.vote = VoteKind::kYes;
  return transaction;
}

Transaction Transaction::RecoveredOrphan(const Gid& gid,
                                         const std::vector<BranchRecord>& branches) {
  std::vector<std::string> names;
  names.reserve(branches.size());
  for (const BranchRecord& branch : branches) names.push_back(branch.participant);
  Transaction transaction(gid, std::move(names));
  transaction.entry_ = Entry::kRecoveredOrphan;
  for (size_t i = 0; i < branches.size(); ++i) {
    transaction.branches_[i].token = branches[i].token;
    transaction.branches_[i].phase = BranchPhase::kVoted;
  }
  return transaction;
}

std::vector<Action> Transaction::Step(const Event& event) {
  std::vector<Action> actions;
  Step(event, actions);
  return actions;
}

void Transaction::Step(const Event& event, std::vector<Action>& actions) {
  const size_t before = actions.size();
  const bool answered_before = answered_;
  std::visit([&](const auto& specific) { On(specific, actions); }, event);
  const char* violation =
      FirstViolation(*this, std::span(actions).subspan(before), answered_before);
  INDOUBT_CHECK(violation == nullptr, fmt::format("{}: {}", gid_.ToString(), violation));
}

void Transaction::On(const Started&, std::vector<Action>& actions) {
  if (state_ != TransactionState::kBegun) return;  // aborted before it started
  switch (entry_) {
    case Entry::kRecoveredCommit:
      decision_ = DecisionOutcome::kCommitted;
      state_ = TransactionState::kCommitting;
      TellAll(actions);
      return;
    case Entry::kRecoveredOrphan:
      if (!gid_.home.empty()) return AskForTheDecision(actions);
      ProposeAbort(StatusCode::kAborted, "prepared, and no commit in the log", actions);
      return;
    case Entry::kNew:
      break;
  }
  const bool one_phase = branches_.size() == 1 && !traits_.always_decide;
  state_ = one_phase ? TransactionState::kOnePhase : TransactionState::kPreparing;
  for (size_t i = 0; i < branches_.size(); ++i) {
    if (i == last_resource_) continue;  // its turn comes when the others have voted
    branches_[i].phase = BranchPhase::kAsked;
    if (one_phase) {
      actions.emplace_back(AskOnePhase{i});
    } else {
      actions.emplace_back(AskPrepare{i});
    }
  }
}

void Transaction::RecordVote(BranchState& branch, const Vote& vote) {
  INDOUBT_CHECK(!branch.vote, fmt::format("{} voted twice", branch.name));
  branch.vote = vote.kind;
  branch.token = vote.token;
  // A branch that was told to roll back before it voted stays told.
  if (branch.phase != BranchPhase::kAsked) return;
  const bool over = vote.kind == VoteKind::kNo || vote.kind == VoteKind::kReadOnly;
  branch.phase = over ? BranchPhase::kDone : BranchPhase::kVoted;
}

void Transaction::On(const Voted& event, std::vector<Action>& actions) {
  BranchState& branch = branches_.at(event.participant);
  RecordVote(branch, event.vote);
  if (state_ != TransactionState::kPreparing) return;  // too late: it aborts already
  switch (event.vote.kind) {
    case VoteKind::kNo:
      ProposeAbort(StatusCode::kAborted, Named(branch.name, event.vote.reason), actions);
      return;
    case VoteKind::kUnknown:
      ProposeAbort(StatusCode::kUnavailable,
                   fmt::format("{}: no answer to prepare: {}", branch.name, event.vote.reason),
                   actions);
      return;
    case VoteKind::kYes:
    case VoteKind::kReadOnly:
      CountVotes(actions);
      return;
  }
}

void Transaction::CountVotes(std::vector<Action>& actions) {
  Propose commit{DecisionOutcome::kCommitted, {}};
  for (size_t i = 0; i < branches_.size(); ++i) {
    const BranchState& branch = branches_[i];
    if (i == last_resource_) continue;
    if (!branch.vote) return;
  }
  commit.branches.reserve(branches_.size());
  for (const BranchState& branch : branches_) {
    if (branch.vote != VoteKind::kYes) continue;
    BranchRecord& record = commit.branches.emplace_back();
    record.participant = branch.name;
    record.token = branch.token;
  }
  if (last_resource_) {
    branches_[*last_resource_].phase = BranchPhase::kAsked;
    if (commit.branches.empty()) {  // nobody else has anything to commit
      state_ = TransactionState::kOnePhase;
      actions.emplace_back(AskOnePhase{*last_resource_});
    } else {
      state_ = TransactionState::kLastResource;
      actions.emplace_back(AskLastResource{*last_resource_, std::move(commit.branches)});
    }
    return;
  }
  if (commit.branches.empty()) {  // all read-only: there is nothing to decide
    Reply(actions);
    End(actions);
    return;
  }
  state_ = TransactionState::kDeciding;
  proposed_ = DecisionOutcome::kCommitted;
  actions.emplace_back(std::move(commit));
}

void Transaction::On(const OnePhaseEnded& event, std::vector<Action>& actions) {
  INDOUBT_CHECK(state_ == TransactionState::kOnePhase, ToString(state_));
  BranchState& branch = branches_[last_resource_.value_or(0)];
  branch.phase = BranchPhase::kDone;
  switch (event.kind) {
    case OnePhaseKind::kCommitted:
      branch.ack = AckState::kCommitted;
      decision_ = DecisionOutcome::kCommitted;
      break;
    case OnePhaseKind::kRolledBack:
      branch.ack = AckState::kRolledBack;
      decision_ = DecisionOutcome::kAborted;
      code_ = StatusCode::kAborted;
      reason_ = Named(branch.name, event.reason);
      break;
    case OnePhaseKind::kUnknown:
      branch.ack = AckState::kUnknown;
      one_phase_unknown_ = true;
      code_ = StatusCode::kUnavailable;
      reason_ =
          fmt::format("{}: no answer to a one-phase commit: {}", branch.name, event.reason);
      break;
  }
  Reply(actions);
  End(actions);
}

void Transaction::On(const LastResourceEnded& event, std::vector<Action>& actions) {
  INDOUBT_CHECK(state_ == TransactionState::kLastResource, ToString(state_));
  BranchState& branch = branches_[*last_resource_];
  switch (event.kind) {
    case OnePhaseKind::kCommitted:
      branch.ack = AckState::kCommitted;
      branch.phase = BranchPhase::kDone;
      return Carry(DecisionOutcome::kCommitted, actions);
    case OnePhaseKind::kRolledBack:
      branch.vote = VoteKind::kNo;
      branch.phase = BranchPhase::kDone;
      code_ = StatusCode::kAborted;
      reason_ = Named(branch.name, event.reason);
      return Carry(DecisionOutcome::kAborted, actions);
    case OnePhaseKind::kUnknown:
      branch.ack = AckState::kUnknown;
      code_ = StatusCode::kUnavailable;
      reason_ = fmt::format("{}: no answer to its commit: {}", branch.name, event.reason);
      branch.reason = event.reason;
      return AskForTheDecision(actions);
  }
}

void Transaction::AskForTheDecision(std::vector<Action>& actions) {
  state_ = TransactionState::kAsking;
  if (recovered()) {
    code_ = StatusCode::kAborted;
    reason_ = "prepared, and no commit at its last resource";
  }
  actions.emplace_back(AskDecision{asked_in_vain_});
}

void Transaction::OnStanding(const Decided& event, std::vector<Action>& actions) {
  BranchState* last = last_resource_ ? &branches_[*last_resource_] : nullptr;
  if (event.outcome == DecisionOutcome::kUnknown) {
    ++asked_in_vain_;
    if (last != nullptr) {
      ++last->attempts;
      last->reason = event.reason;
    }
    return AskForTheDecision(actions);
  }
  const bool commit = event.outcome == DecisionOutcome::kCommitted;
  if (last != nullptr) {
    last->ack = commit ? AckState::kCommitted : AckState::kRolledBack;
    last->phase = BranchPhase::kDone;
  } else if (commit) {
    // The row may name branches that were not listed, so the next pass ends this one.
    end_blocked_ = true;
  }
  Carry(event.outcome, actions);
}

/// The decision stands; everybody is told.
void Transaction::Carry(DecisionOutcome decision, std::vector<Action>& actions) {
  decision_ = decision;
  if (decision == DecisionOutcome::kCommitted) {
    code_ = StatusCode::kOk;
    reason_.clear();
    state_ = TransactionState::kCommitting;
    if (traits_.answer_decided) Reply(actions);
  } else {
    state_ = TransactionState::kRollingBack;
  }
  TellAll(actions);
  FinishIfDone(actions);
}

void Transaction::On(const TimedOut&, std::vector<Action>& actions) {
  if (state_ != TransactionState::kBegun && state_ != TransactionState::kPreparing) return;
  ProposeAbort(StatusCode::kDeadlineExceeded,
               fmt::format("no vote of {} before the timeout", Missing()), actions);
}

void Transaction::On(const GaveUp& event, std::vector<Action>& actions) {
  if (state_ != TransactionState::kBegun && state_ != TransactionState::kPreparing) return;
  ProposeAbort(event.code, event.reason, actions);
}

void Transaction::ProposeAbort(StatusCode code, std::string reason,
                               std::vector<Action>& actions) {
  state_ = TransactionState::kDeciding;
  proposed_ = DecisionOutcome::kAborted;
  code_ = code;
  reason_ = std::move(reason);
  actions.emplace_back(Propose{DecisionOutcome::kAborted, {}});
}

void Transaction::On(const Decided& event, std::vector<Action>& actions) {
  if (state_ == TransactionState::kAsking) return OnStanding(event, actions);
  INDOUBT_CHECK(state_ == TransactionState::kDeciding, ToString(state_));
  switch (event.outcome) {
    case DecisionOutcome::kCommitted:
      // Another coordinator may have decided an orphan that we proposed to abort;
      // a commit nobody proposed is a broken log.
      INDOUBT_CHECK(proposed_ == DecisionOutcome::kCommitted || entry_ != Entry::kNew,
                    "the log committed what was proposed to abort");
      break;
    case DecisionOutcome::kAborted:
      if (proposed_ == DecisionOutcome::kCommitted) {
        code_ = StatusCode::kAborted;
        reason_ = event.reason.empty() ? "decision log: abort stands" : event.reason;
      }
      break;
    case DecisionOutcome::kUnknown:
      // The record may have survived the failed write, so nobody is rolled back.
      decision_ = event.outcome;
      code_ = StatusCode::kIoError;
      reason_ = fmt::format("decision log: {}", event.reason);
      state_ = TransactionState::kInDoubt;
      Reply(actions);
      return;
  }
  Carry(event.outcome, actions);
}

void Transaction::TellAll(std::vector<Action>& actions) {
  for (size_t i = 0; i < branches_.size(); ++i) {
    if (AwaitsDecision(branches_[i])) Tell(i, actions);
  }
}

void Transaction::Tell(size_t participant, std::vector<Action>& actions) {
  BranchState& branch = branches_[participant];
  branch.phase = BranchPhase::kTold;
  branch.ack = AckState::kUnknown;
  if (state_ == TransactionState::kCommitting) {
    actions.emplace_back(TellCommit{participant, branch.attempts});
  } else {
    actions.emplace_back(TellRollback{participant, branch.attempts});
  }
}

void Transaction::On(const Acknowledged& event, std::vector<Action>& actions) {
  BranchState& branch = branches_.at(event.participant);
  const bool committing = state_ == TransactionState::kCommitting;
  INDOUBT_CHECK(committing || state_ == TransactionState::kRollingBack, ToString(state_));
  INDOUBT_CHECK(branch.phase == BranchPhase::kTold, branch.name);
  switch (event.ack.kind) {
    case AckKind::kDone:
      branch.ack = committing ? AckState::kCommitted : AckState::kRolledBack;
      branch.phase = BranchPhase::kDone;
      break;
    case AckKind::kRetry:
      branch.reason = event.ack.reason;
      ++branch.attempts;
      if (!committing && branch.attempts >= kRollbackAttempts) {
        branch.phase = BranchPhase::kDone;
      } else {
        Tell(event.participant, actions);
      }
      break;
    case AckKind::kHeuristic:
      branch.ack = AckState::kHeuristic;
      branch.reason = event.ack.reason;
      branch.phase = BranchPhase::kRecording;
      actions.emplace_back(StoreHeuristic{event.participant, *decision_, event.ack.reason});
      break;
  }
  FinishIfDone(actions);
}

void Transaction::On(const HeuristicStored& event, std::vector<Action>& actions) {
  BranchState& branch = branches_.at(event.participant);
  INDOUBT_CHECK(branch.phase == BranchPhase::kRecording, branch.name);
  branch.phase = BranchPhase::kDone;
  // Without the record the commit must not end: the next start finds it again.
  if (!event.durable) end_blocked_ = true;
  FinishIfDone(actions);
}

void Transaction::FinishIfDone(std::vector<Action>& actions) {
  bool done = true;
  bool tried = true;  // each was told at least once, and has answered
  for (const BranchState& branch : branches_) {
    const bool over = branch.phase == BranchPhase::kDone || branch.phase == BranchPhase::kIdle;
    done = done && over;
    tried = tried && (over || (branch.phase == BranchPhase::kTold && branch.attempts > 0));
  }
  if (!done) {
    // An abort is settled whoever has not heard of it; the caller need not wait.
    if (state_ == TransactionState::kRollingBack && tried) Reply(actions);
    return;
  }
  if (state_ == TransactionState::kCommitting && !end_blocked_) {
    state_ = TransactionState::kEnding;
    end_recorded_ = true;
    actions.emplace_back(WriteEnd{});
    Reply(actions);
    return;
  }
  Reply(actions);
  End(actions);
}

void Transaction::On(const EndWritten&, std::vector<Action>& actions) {
  INDOUBT_CHECK(state_ == TransactionState::kEnding, ToString(state_));
  End(actions);
}

void Transaction::On(const CallerTimedOut&, std::vector<Action>& actions) {
  if (state_ == TransactionState::kBegun || state_ == TransactionState::kPreparing) return;
  Reply(actions);
}

void Transaction::Reply(std::vector<Action>& actions) {
  if (answered_) return;
  actions.emplace_back(CurrentAnswer());
  answered_ = true;
}

void Transaction::End(std::vector<Action>& actions) {
  state_ = TransactionState::kEnded;
  actions.emplace_back(Release{});
}

}  // namespace indoubt
