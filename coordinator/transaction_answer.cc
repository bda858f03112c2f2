// What a transaction says of itself: to its caller, and to people.
#include <iterator>

#include <fmt/format.h>

#include "coordinator/transaction.h"

namespace indoubt {

const char* ToString(TransactionState state) {
  switch (state) {
    case TransactionState::kBegun:
      return "begun";
    case TransactionState::kPreparing:
      return "preparing";
    case TransactionState::kOnePhase:
      return "one-phase";
    case TransactionState::kLastResource:
      return "at its last resource";
    case TransactionState::kAsking:
      return "asking its last resource";
    case TransactionState::kDeciding:
      return "deciding";
    case TransactionState::kCommitting:
      return "committing";
    case TransactionState::kRollingBack:
      return "rolling back";
    case TransactionState::kInDoubt:
      return "in doubt";
    case TransactionState::kEnding:
      return "ending";
    case TransactionState::kEnded:
      return "ended";
  }
  return "?";
}

Answer Transaction::CurrentAnswer() const {
  for (const BranchState& branch : branches_) {
    if (branch.ack != AckState::kHeuristic) continue;
    const bool commit = decision_ == DecisionOutcome::kCommitted;
    return {Outcome::kHeuristic, StatusCode::kInternal,
            fmt::format("{}: resolved against the decision ({}): {}", branch.name,
                        commit ? "commit" : "abort", branch.reason)};
  }
  if (state_ == TransactionState::kDeciding) {
    return {Outcome::kInDoubt, StatusCode::kDeadlineExceeded,
            "no decision yet: the decision log has not answered"};
  }
  const bool asking = state_ == TransactionState::kAsking;
  if (state_ == TransactionState::kInDoubt || one_phase_unknown_ || asking) {
    return {Outcome::kInDoubt, code_, reason_};
  }
  if (decision_ == DecisionOutcome::kAborted) return {Outcome::kRolledBack, code_, reason_};
  const bool suffices = traits_.answer_decided && decision_.has_value();
  const std::string missing = suffices ? std::string() : Missing();
  if (missing.empty()) return {Outcome::kCommitted, StatusCode::kOk, ""};
  const char* what = decision_ ? "commit is decided, not yet applied at" : "no decision yet;";
  return {Outcome::kInDoubt, StatusCode::kDeadlineExceeded,
          fmt::format("{} {}", what, missing)};
}

std::string Transaction::Missing() const {
  std::string names;
  for (const BranchState& branch : branches_) {
    if (branch.phase == BranchPhase::kDone) continue;
    // Once votes are in, only those without a vote hold an undecided one up.
    const bool undecided = state_ == TransactionState::kPreparing ||
                           state_ == TransactionState::kLastResource ||
                           state_ == TransactionState::kAsking;
    if (undecided && (branch.vote || branch.phase == BranchPhase::kIdle)) continue;
    fmt::format_to(std::back_inserter(names), "{}{}{}", names.empty() ? "" : ", ", branch.name,
                   branch.reason.empty() ? "" : fmt::format(" ({})", branch.reason));
  }
  return names;
}

std::vector<ParticipantOutcome> Transaction::Participants() const {
  std::vector<ParticipantOutcome> outcomes;
  outcomes.reserve(branches_.size());
  for (size_t i = 0; i < branches_.size(); ++i) {
    const BranchState& branch = branches_[i];
    ParticipantOutcome outcome{branch.name, branch.vote, branch.ack};
    // Asked, and never heard of: not a no. A last resource is not asked for a vote.
    const bool asked =
        branch.phase != BranchPhase::kIdle && entry_ == Entry::kNew && i != last_resource_;
    const bool votes = branches_.size() > 1 || traits_.always_decide;
    if (asked && !branch.vote && votes) outcome.vote = VoteKind::kUnknown;
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

}  // namespace indoubt
