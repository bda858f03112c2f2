// Coordinator::List: what is in doubt, decided and unapplied, or heuristic.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "coordinator/live_coordinator.h"
#include "coordinator/recovery_pass.h"

namespace indoubt {
namespace {

using Views = std::map<Gid, TransactionView>;

/// Whether each participant that still owes an acknowledgement has been asked only now.
bool GoesWell(const Transaction& transaction) {
  return transaction.decision().value_or(DecisionOutcome::kUnknown) !=
             DecisionOutcome::kUnknown &&
         std::none_of(transaction.branches().begin(), transaction.branches().end(),
                      [](const BranchState& branch) { return branch.attempts > 0; });
}

void AddLive(Engine& engine, Views& views, std::set<Gid>& active) {
  for (const auto& live : engine.Live()) {
    const Transaction transaction = live->Snapshot();
    active.insert(live->gid());
    // Without a decision it is in doubt once its client was told so, or its last resource
    // has not answered: its locks are held, and nothing but an answer ends them.
    const bool stuck =
        transaction.answered() || transaction.state() == TransactionState::kAsking;
    if (transaction.state() == TransactionState::kEnded) continue;
    if (!transaction.decision() && !stuck) continue;
    const bool commit = transaction.decision() == DecisionOutcome::kCommitted;
    const Answer answer = transaction.CurrentAnswer();
    std::string note = answer.reason;
    if (note.empty())
      note = commit ? "commit is decided and being applied" : "being rolled back";
    views[live->gid()] = {live->gid().ToString(),
                          commit ? Outcome::kCommitted : Outcome::kInDoubt,
                          std::move(note),
                          transaction.Participants(),
                          {}};
    views[live->gid()].under_way = GoesWell(transaction);
  }
}

void AddDecided(Engine& engine, const std::string& node, TimePoint deadline, Views& views,
                std::set<Gid>& active, std::vector<std::string>& notices) {
  std::vector<Decision> unended = engine.log().Unended();
  for (Decision& row : ListDecisionRows(engine, node, std::nullopt, deadline, notices)) {
    if (engine.log().Find(row.gid) == LoggedState::kUnknown) unended.push_back(std::move(row));
  }
  // Decided only just now, and being applied.
  for (const auto& live : engine.Live()) active.insert(live->gid());
  for (const Decision& decision : unended) {
    if (active.contains(decision.gid)) continue;
    TransactionView view{decision.gid.ToString(),
                         Outcome::kCommitted,
                         "commit is decided, waits for recovery to apply it",
                         {},
                         {}};
    for (const BranchRecord& branch : decision.branches) {
      view.participants.push_back({branch.participant, VoteKind::kYes, AckState::kUnknown});
      if (!engine.Position(branch.participant)) {
        view.note = fmt::format("commit is decided, but participant {} is not configured",
                                branch.participant);
      }
    }
    views[decision.gid] = std::move(view);
  }
}

/// Returns the notices of participants that could not be asked.
std::vector<std::string> AddPrepared(Engine& engine, const std::string& node,
                                     TimePoint deadline, Views& views, std::set<Gid>& active) {
  Listing listing = ListEverywhere(engine, deadline);
  // Begun or ended while the participants were asked: not in doubt.
  for (const auto& live : engine.Live()) active.insert(live->gid());
  std::set<BranchId> at_home;
  for (const ListedBranch& branch : listing.branches) {
    if (branch.BearsItsListersName()) at_home.insert(branch.id);
  }
  for (const ListedBranch& branch : listing.branches) {
    const Gid& gid = branch.id.gid;
    if (gid.node != node || active.contains(gid)) continue;
    // Two participants share the store.
    if (!branch.BearsItsListersName() && at_home.contains(branch.id)) continue;
    auto [place, fresh] = views.try_emplace(gid);
    TransactionView& view = place->second;
    if (fresh) {
      const bool own = gid.log == engine.log().id();
      view.gid = gid.ToString();
      if (!own) {
        view.note =
            fmt::format("of the decision log {}, which is not this one", gid.log.text());
      } else if (engine.log().Find(gid) != LoggedState::kUnknown) {
        view.note = "prepared here, and committed elsewhere; recovery commits it";
      } else if (!gid.home.empty()) {
        view.note =
            fmt::format("prepared, and decided in the decision table {}; recovery asks there",
                        gid.home.view());
      } else {
        view.note = "prepared, and no commit in the log; recovery rolls it back";
      }
    }
    if (!branch.BearsItsListersName()) {
      view.note =
          fmt::format("{} holds a branch of participant {}, which has not listed it; untouched",
                      branch.listed_by, branch.id.participant);
    }
    for (const ParticipantOutcome& known : view.participants) {
      if (known.name == branch.id.participant) fresh = false;
    }
    if (fresh || view.outcome == Outcome::kInDoubt) {
      view.participants.push_back({branch.id.participant, VoteKind::kYes, AckState::kUnknown});
    }
  }
  return std::move(listing.notices);
}

void AddHeuristic(const DecisionLog& log, Views& views) {
  for (const HeuristicRecord& record : log.Heuristics()) {
    TransactionView& view = views[record.gid];
    const bool commit = record.decision == DecisionOutcome::kCommitted;
    if (view.outcome != Outcome::kHeuristic) view.note.clear();
    view.gid = record.gid.ToString();
    view.outcome = Outcome::kHeuristic;
    if (!view.note.empty()) view.note += "; ";
    view.note += fmt::format("{}: resolved against the decision ({}), found at {}: {}",
                             record.participant, commit ? "commit" : "abort", record.found_at,
                             record.reason);
    bool known = false;
    for (ParticipantOutcome& participant : view.participants) {
      if (participant.name != record.participant) continue;
      participant.ack = AckState::kHeuristic;
      known = true;
    }
    if (!known) {
      view.participants.push_back({record.participant, VoteKind::kYes, AckState::kHeuristic});
    }
  }
}

/// Those against the log; with `all` also those that agree with it and have nothing open.
void AddOperatorDecisions(const DecisionLog& log, bool all, Views& views) {
  for (OperatorDecision& decision : log.OperatorDecisions()) {
    const bool known = views.contains(decision.gid);
    if (!known && !all && !decision.IsHeuristic()) continue;
    TransactionView& view = views[decision.gid];
    if (!known) {
      view.gid = decision.gid.ToString();
      view.outcome = decision.decided == DecisionOutcome::kCommitted ? Outcome::kCommitted
                                                                     : Outcome::kRolledBack;
      for (const std::string& name : decision.participants) {
        view.participants.push_back({name, VoteKind::kYes, AckState::kNone});
      }
    }
    const bool taken_back = decision.decided == DecisionOutcome::kAborted &&
                            decision.known == DecisionOutcome::kCommitted;
    // What recovery says of one without a commit; this one had it.
    if (taken_back && view.outcome != Outcome::kHeuristic) {
      view.note = view.outcome == Outcome::kInDoubt
                      ? "not rolled back everywhere yet; recovery does that"
                      : "";
    }
    if (decision.IsHeuristic()) view.outcome = Outcome::kHeuristic;
    view.note += fmt::format("{}{}", view.note.empty() ? "" : "; ", Describe(decision));
    view.operator_decision = std::move(decision);
  }
}

}  // namespace

bool TransactionView::IsInDoubt() const {
  if (outcome == Outcome::kHeuristic || forgotten || under_way) return false;
  return outcome == Outcome::kInDoubt ||
         std::any_of(participants.begin(), participants.end(),
                     [](const ParticipantOutcome& participant) {
                       return participant.ack == AckState::kUnknown;
                     });
}

std::string Describe(const OperatorDecision& decision) {
  const char* what =
      decision.decided == DecisionOutcome::kCommitted ? "committed" : "rolled back";
  std::string against;
  if (decision.IsHeuristic()) {
    switch (decision.known) {
      case DecisionOutcome::kCommitted:
        against = ", although its commit was decided";
        break;
      case DecisionOutcome::kAborted:
        against = ", although the log knew no commit";
        break;
      case DecisionOutcome::kUnknown:
        against = ", not knowing what its own log had decided";
        break;
    }
  }
  return fmt::format("{} by {} at {}{}{}{}", what, decision.by.who, decision.by.at, against,
                     decision.by.reason.empty() ? "" : ": ", decision.by.reason);
}

TransactionView LiveCoordinator::ViewOf(const Gid& gid,
                                        const std::optional<Transaction>& machine) const {
  Views views;
  if (machine) {
    const Answer answer = machine->CurrentAnswer();
    TransactionView& view = views[gid];
    view = {gid.ToString(), answer.outcome, answer.reason, machine->Participants(), {}};
    for (const ParticipantOutcome& participant : view.participants) {
      const bool open =
          participant.ack == AckState::kUnknown || machine->state() != TransactionState::kEnded;
      if (open && view.outcome != Outcome::kHeuristic) view.outcome = Outcome::kInDoubt;
    }
  }
  AddHeuristic(engine_.log(), views);
  AddOperatorDecisions(engine_.log(), /*all=*/true, views);
  if (const auto found = views.find(gid); found != views.end()) return found->second;
  return {gid.ToString(), Outcome::kCommitted, "ended everywhere", {}, {}};
}

Result<TransactionList> LiveCoordinator::Show(const Gid& gid, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(TransactionList list, List(deadline));
  std::erase_if(list.transactions,
                [&](const TransactionView& view) { return view.gid != gid.ToString(); });
  if (!list.transactions.empty()) return list;
  bool by_hand = false;
  for (const OperatorDecision& decision : engine_.log().OperatorDecisions()) {
    by_hand = by_hand || decision.gid == gid;
  }
  if (by_hand || engine_.log().Find(gid) != LoggedState::kUnknown) {
    list.transactions.push_back(ViewOf(gid, std::nullopt));
    return list;
  }
  for (const auto& live : engine_.Live()) {
    if (live->gid() != gid) continue;
    list.transactions.push_back(ViewOf(gid, live->Snapshot()));
    return list;
  }
  if (!list.notices.empty()) return list;
  if (gid.log == engine_.log().id() && engine_.log().IsForgotten(gid)) {
    TransactionView view;
    view.gid = gid.ToString();
    view.note =
        "longer than outcome_retention ago: whether it was committed is not kept; it is "
        "prepared nowhere";
    view.forgotten = true;
    list.transactions.push_back(std::move(view));
    return list;
  }
  return Status(StatusCode::kNotFound,
                fmt::format("{}: not prepared anywhere and not in the log: it was rolled back, "
                            "or had one participant only, or never was",
                            gid.ToString()));
}

Result<TransactionList> LiveCoordinator::List(TimePoint deadline) {
  Views views;
  std::set<Gid> active;
  TransactionList list;
  AddLive(engine_, views, active);
  list.notices = AddPrepared(engine_, options_.node, deadline, views, active);
  AddDecided(engine_, options_.node, deadline, views, active, list.notices);
  AddHeuristic(engine_.log(), views);
  AddOperatorDecisions(engine_.log(), /*all=*/false, views);
  list.transactions.reserve(views.size());
  for (auto& [gid, view] : views) list.transactions.push_back(std::move(view));
  return list;
}

}  // namespace indoubt
