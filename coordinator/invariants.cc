#include "coordinator/invariants.h"

namespace indoubt {
namespace {

/// One action against the state that it came with.
class Checker {
 public:
  explicit Checker(const Transaction& transaction) : transaction_(transaction) {}

  const char* operator()(const AskPrepare& ask) const {
    if (transaction_.decision()) return "a prepare after the decision";
    return transaction_.branches()[ask.participant].vote ? "a prepare after the vote" : nullptr;
  }
  const char* operator()(const AskOnePhase& ask) const {
    if (transaction_.branches().size() == 1) return nullptr;
    if (transaction_.last_resource() != ask.participant) {
      return "one phase for several participants";
    }
    return Votes().yes == 0 && Votes().others == 0 ? nullptr
                                                   : "one phase with others to commit";
  }
  const char* operator()(const AskLastResource& ask) const {
    if (transaction_.decision()) return "a second decision";
    if (transaction_.last_resource() != ask.participant) return "not the last resource";
    if (Votes().others > 0) return "the last resource asked without everybody's yes";
    const bool complete = !ask.branches.empty() && ask.branches.size() == Votes().yes;
    return complete ? nullptr : "a decision row without all branches";
  }
  const char* operator()(const AskDecision&) const {
    if (transaction_.gid().home.empty()) return "a decision of the log asked for elsewhere";
    if (transaction_.decision()) return "a decision asked for once more";
    const auto last = transaction_.last_resource();
    const bool asked = !last || transaction_.branches()[*last].phase == BranchPhase::kAsked;
    return asked ? nullptr : "a last resource asked for a decision that it never got";
  }
  const char* operator()(const Propose& propose) const {
    if (transaction_.decision()) return "a second decision";
    if (!transaction_.gid().home.empty()) {
      if (propose.outcome == DecisionOutcome::kCommitted || transaction_.recovered()) {
        return "a last resource's decision proposed to the log";
      }
      const auto last = transaction_.last_resource();
      const bool untouched = last && transaction_.branches()[*last].phase == BranchPhase::kIdle;
      return untouched ? nullptr : "an abort presumed while the last resource may commit";
    }
    if (propose.outcome != DecisionOutcome::kCommitted) return nullptr;
    if (propose.branches.empty()) return "a commit decision without a branch";
    for (const BranchState& branch : transaction_.branches()) {
      const bool willing = branch.vote == VoteKind::kYes || branch.vote == VoteKind::kReadOnly;
      if (!willing) return "commit proposed without everybody's yes";
    }
    return nullptr;
  }
  const char* operator()(const TellCommit& tell) const {
    if (transaction_.decision() != DecisionOutcome::kCommitted) {
      return "a participant told commit before the decision was durable";
    }
    return Told(tell.participant);
  }
  const char* operator()(const TellRollback& tell) const {
    if (transaction_.decision() != DecisionOutcome::kAborted) {
      return "a participant told to roll back what may be committed";
    }
    return Told(tell.participant);
  }
  const char* operator()(const StoreHeuristic&) const {
    return transaction_.decision() ? nullptr : "a heuristic outcome without a decision";
  }
  const char* operator()(const WriteEnd&) const {
    if (transaction_.decision() != DecisionOutcome::kCommitted)
      return "an end without a commit";
    return AllDone() ? nullptr : "an end before every acknowledgement";
  }
  const char* operator()(const Answer& answer) const {
    if (answer.outcome == Outcome::kRolledBack &&
        transaction_.decision() != DecisionOutcome::kAborted) {
      return "rolled back is answered without an abort";
    }
    const bool committed = answer.outcome == Outcome::kCommitted;
    if (committed && transaction_.decision() != DecisionOutcome::kCommitted && !AllReadOnly()) {
      return "committed is answered without a commit, and not all are read-only";
    }
    if (committed && transaction_.traits().answer_decided) {
      const bool decided = transaction_.decision() == DecisionOutcome::kCommitted || AllDone();
      return decided ? nullptr : "committed is answered before it is decided";
    }
    return committed && !AllDone() ? "committed is answered before it is applied" : nullptr;
  }
  const char* operator()(const Release&) const {
    return transaction_.state() == TransactionState::kEnded ? nullptr : "released too early";
  }

 private:
  struct Count {
    size_t yes = 0, others = 0;  // neither yes nor read-only; the last resource has no vote
  };
  Count Votes() const {
    Count count;
    for (size_t i = 0; i < transaction_.branches().size(); ++i) {
      if (i == transaction_.last_resource()) continue;
      const std::optional<VoteKind> vote = transaction_.branches()[i].vote;
      if (vote == VoteKind::kYes) ++count.yes;
      if (vote != VoteKind::kYes && vote != VoteKind::kReadOnly) ++count.others;
    }
    return count;
  }
  const char* Told(size_t participant) const {
    const bool told = transaction_.branches()[participant].phase == BranchPhase::kTold;
    return told ? nullptr : "an answer is not waited for";
  }
  bool AllDone() const {
    for (const BranchState& branch : transaction_.branches()) {
      if (branch.phase != BranchPhase::kDone) return false;
    }
    return true;
  }

  bool AllReadOnly() const {
    for (const BranchState& branch : transaction_.branches()) {
      if (branch.vote != VoteKind::kReadOnly) return false;
    }
    return true;
  }

  const Transaction& transaction_;
};

}  // namespace

const char* FirstViolation(const Transaction& transaction, std::span<const Action> actions,
                           bool answered_before) {
  const Checker checker(transaction);
  for (const Action& action : actions) {
    if (const char* violation = std::visit(checker, action)) return violation;
    if (!std::holds_alternative<Answer>(action)) continue;
    if (answered_before) return "the caller is answered twice";
    answered_before = true;
  }
  return nullptr;
}

}  // namespace indoubt
