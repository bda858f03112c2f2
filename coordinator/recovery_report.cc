// Coordinator::Recover: one pass, waited for, and told to a person.
#include <set>

#include <fmt/format.h>

#include "coordinator/live_coordinator.h"
#include "coordinator/recovery_pass.h"

namespace indoubt {
namespace {

bool IsOver(const Transaction& transaction) {
  return transaction.state() == TransactionState::kEnded;
}

/// Whether waiting longer cannot help: what is missing is at a participant that is
/// away, and has been asked.
bool Waits(const Transaction& transaction, const std::vector<std::string>& unreachable) {
  if (IsOver(transaction)) return false;
  if (transaction.state() == TransactionState::kAsking) {
    return transaction.asked_in_vain() == 0 || unreachable.empty();
  }
  bool all_done = true;
  for (const BranchState& branch : transaction.branches()) {
    if (branch.phase == BranchPhase::kDone) continue;
    all_done = false;
    const bool away =
        std::find(unreachable.begin(), unreachable.end(), branch.name) != unreachable.end();
    if (!away || branch.attempts == 0) return true;
  }
  return all_done;  // then its end, or a heuristic outcome, is being written
}

RecoveredTransaction Tell(const Transaction& transaction) {
  RecoveredTransaction told{transaction.gid().ToString(), transaction.CurrentAnswer().outcome,
                            transaction.Participants()};
  for (const ParticipantOutcome& participant : told.participants) {
    const bool open = participant.ack == AckState::kUnknown || !IsOver(transaction);
    if (open && told.outcome != Outcome::kHeuristic) told.outcome = Outcome::kInDoubt;
  }
  return told;
}

void Count(RecoveryReport& report, RecoveredTransaction transaction) {
  switch (transaction.outcome) {
    case Outcome::kCommitted:
      ++report.committed;
      break;
    case Outcome::kRolledBack:
      ++report.rolled_back;
      break;
    case Outcome::kInDoubt:
      ++report.in_doubt;
      break;
    case Outcome::kHeuristic:
      ++report.heuristic;
      break;
  }
  report.transactions.push_back(std::move(transaction));
}

/// Adds the branches that nobody can be told: their transactions are in doubt, whatever
/// came of the others.
std::vector<RecoveredTransaction> WithMisnamed(std::vector<RecoveredTransaction> transactions,
                                               const std::vector<ListedBranch>& misnamed) {
  for (const ListedBranch& branch : misnamed) {
    const std::string gid = branch.id.gid.ToString();
    auto place = std::find_if(transactions.begin(), transactions.end(),
                              [&](const auto& known) { return known.gid == gid; });
    if (place == transactions.end()) {
      place = transactions.insert(place, {gid, Outcome::kInDoubt, {}});
    }
    if (place->outcome != Outcome::kHeuristic) place->outcome = Outcome::kInDoubt;
    place->participants.push_back({branch.id.participant, VoteKind::kYes, AckState::kUnknown});
  }
  return transactions;
}

/// What a person decided against the log, or was once found resolved against the decision,
/// stays heuristic until it is forgotten, whatever came of it since.
void MarkHeuristic(const DecisionLog& log, std::vector<RecoveredTransaction>& found) {
  std::set<std::string> heuristic;
  for (const HeuristicRecord& record : log.Heuristics()) {
    heuristic.insert(record.gid.ToString());
  }
  for (const OperatorDecision& decision : log.OperatorDecisions()) {
    if (decision.IsHeuristic()) heuristic.insert(decision.gid.ToString());
  }
  for (RecoveredTransaction& transaction : found) {
    if (heuristic.contains(transaction.gid)) transaction.outcome = Outcome::kHeuristic;
  }
}

void CountRecorded(const DecisionLog& log, const PassResult& pass, RecoveryReport& report) {
  std::set<std::string> told;
  for (const RecoveredTransaction& transaction : report.transactions) {
    told.insert(transaction.gid);
  }
  for (const Decision& decision : pass.unconfigured) {
    RecoveredTransaction transaction{decision.gid.ToString(), Outcome::kInDoubt, {}};
    for (const BranchRecord& branch : decision.branches) {
      transaction.participants.push_back(
          {branch.participant, VoteKind::kYes, AckState::kUnknown});
    }
    Count(report, std::move(transaction));
  }
  for (const Decision& orphan : pass.undecided) {
    RecoveredTransaction transaction{orphan.gid.ToString(), Outcome::kInDoubt, {}};
    for (const BranchRecord& branch : orphan.branches) {
      transaction.participants.push_back(
          {branch.participant, VoteKind::kYes, AckState::kUnknown});
    }
    Count(report, std::move(transaction));
  }
  for (const HeuristicRecord& record : log.Heuristics()) {
    if (!told.insert(record.gid.ToString()).second) continue;
    Count(report, {record.gid.ToString(),
                   Outcome::kHeuristic,
                   {{record.participant, VoteKind::kYes, AckState::kHeuristic}}});
  }
  for (const OperatorDecision& decision : log.OperatorDecisions()) {
    if (!decision.IsHeuristic() || !told.insert(decision.gid.ToString()).second) continue;
    Count(report, {decision.gid.ToString(), Outcome::kHeuristic, {}});
  }
}

}  // namespace

bool PassGate::Open(Runtime& runtime, TimePoint deadline) {
  return runtime.WaitUntil(deadline, [this] { return !open_.exchange(true); });
}

void PassGate::Close(Runtime& runtime) {
  open_ = false;
  runtime.Notify();
}

Result<RecoveryReport> LiveCoordinator::Recover(TimePoint deadline,
                                                std::optional<LogId> adopt) {
  if (!recovering_.Open(engine_.runtime(), deadline)) {
    return Status(StatusCode::kDeadlineExceeded,
                  "another recovery pass was under way all along");
  }
  Result<RecoveryReport> report = RecoverAlone(deadline, adopt);
  recovering_.Close(engine_.runtime());
  return report;
}

Result<RecoveryReport> LiveCoordinator::RecoverAlone(TimePoint deadline,
                                                     const std::optional<LogId>& adopt) {
  const TimePoint began = engine_.Now();
  engine_.readiness().Check(Readiness::Whom::kEverybody, ShareOf(engine_, deadline, 4));
  // A preflight may take longer than its share; the pass gets half of the whole all the same.
  deadline = std::max(deadline, engine_.Now() + (deadline - began) / 2);
  INDOUBT_ASSIGN_OR_RETURN(PassResult pass, RunPass(deadline, adopt));
  std::vector<std::shared_ptr<LiveTransaction>> watched = pass.entered;
  for (const auto& live : engine_.Live()) {
    // What an earlier pass, or a transaction of this process, could not finish.
    const Transaction transaction = live->Snapshot();
    const bool held_up =
        std::any_of(transaction.branches().begin(), transaction.branches().end(),
                    [](const BranchState& branch) { return branch.attempts > 0; });
    const bool fresh = std::find(watched.begin(), watched.end(), live) == watched.end();
    if (!fresh || !(held_up || live->recovered())) continue;
    live->Nudge();
    watched.push_back(live);
  }
  engine_.WaitUntil(deadline, [&] {
    return std::none_of(watched.begin(), watched.end(), [&](const auto& live) {
      return Waits(live->Snapshot(), pass.unreachable);
    });
  });
  RecoveryReport report;
  std::vector<RecoveredTransaction> found;
  found.reserve(watched.size());
  for (const auto& live : watched) found.push_back(Tell(live->Snapshot()));
  MarkHeuristic(engine_.log(), found);
  for (RecoveredTransaction& transaction : WithMisnamed(std::move(found), pass.misnamed)) {
    Count(report, std::move(transaction));
  }
  CountRecorded(engine_.log(), pass, report);
  report.notices = std::move(pass.notices);
  report.unreachable = std::move(pass.unreachable);
  // The abort rows that this pass has written need not wait for the next one.
  if (pass.asked) CloseDecided(engine_, options_.node, 1, deadline);
  return report;
}

}  // namespace indoubt
