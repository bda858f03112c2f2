#include "coordinator/recovery_pass.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "coordinator/live_transaction.h"

namespace indoubt {
namespace {

void EnterAll(Engine& engine, const OrphanSelection& selection, const std::set<Gid>& recorded,
              PassResult& result) {
  for (const Decision& decision : selection.commit) {
    LoggedState expected = LoggedState::kCommitted;
    // The log does not know of a commit at a last resource before it has ended.
    if (!decision.gid.home.empty()) expected = LoggedState::kUnknown;
    if (!recorded.contains(decision.gid)) expected = LoggedState::kEnded;
    EnterRecovered(engine, Transaction::RecoveredCommit(decision), expected, result);
  }
  for (const Decision& orphan : selection.roll_back) {
    EnterRecovered(engine, Transaction::RecoveredOrphan(orphan.gid, orphan.branches),
                   LoggedState::kUnknown, result);
  }
}

/// Who may forget an ended transaction: of `branches`, those whose heuristic outcome no person
/// has yet to forget.
std::vector<size_t> KeepersOf(const Engine& engine, const Gid& gid,
                              const std::vector<BranchRecord>& branches,
                              const std::vector<HeuristicRecord>& heuristics) {
  std::vector<size_t> keepers;
  for (const BranchRecord& branch : branches) {
    const bool heuristic =
        std::any_of(heuristics.begin(), heuristics.end(), [&](const HeuristicRecord& record) {
          return record.gid == gid && record.participant == branch.participant;
        });
    const auto position = engine.Position(branch.participant);
    if (position && !heuristic) keepers.push_back(*position);
  }
  return keepers;
}

/// The other half of T. Rows whose transaction has ended only wait to be removed. One that
/// was about to be removed before it is listed is left alone, whatever the log still knows of
/// its end: the participants may have been told to forget it meanwhile.
void AddDecisionRows(Engine& engine, const std::string& node, const std::optional<LogId>& adopt,
                     TimePoint deadline, OrphanInput& input,
                     std::vector<std::string>& notices) {
  const std::vector<HeuristicRecord> heuristics = engine.log().Heuristics();
  const std::vector<Gid> waiting = engine.decision_rows().Waiting();
  const std::set<Gid> leaving(waiting.begin(), waiting.end());
  for (Decision& row : ListDecisionRows(engine, node, adopt, deadline, notices)) {
    if (input.active.contains(row.gid) || leaving.contains(row.gid)) continue;
    if (engine.log().Find(row.gid) != LoggedState::kEnded) {
      input.decided.push_back(std::move(row));
      continue;
    }
    engine.Ended(row.gid, KeepersOf(engine, row.gid, row.branches, heuristics));
  }
}

void Describe(const OrphanSelection& selection, const std::set<std::string>& participants,
              PassResult& result) {
  for (const PreparedBranch& branch : selection.cloned) {
    result.notices.push_back(fmt::format(
        "{}: branch {} is of this node but of the decision log {}, a cloned configuration or "
        "a lost log; left alone (if that log is gone for good: --adopt {})",
        branch.id.participant, branch.id.ToString(), branch.id.gid.log.text(),
        branch.id.gid.log.text()));
  }
  for (const PreparedBranch& branch : selection.newer) {
    result.notices.push_back(fmt::format(
        "{}: branch {} is of a later incarnation than this decision log has had, so this is "
        "an old copy of the log; left alone (bring the newest copy back)",
        branch.id.participant, branch.id.ToString()));
  }
  for (const ListedBranch& branch : selection.misnamed) {
    result.notices.push_back(fmt::format(
        "{}: holds branch {}, which participant {} of this configuration has not listed; in "
        "doubt until the participant of that store has that name again",
        branch.listed_by, branch.id.ToString(), branch.id.participant));
  }
  for (const Decision& decision : selection.unconfigured) {
    result.notices.push_back(
        fmt::format("{}: committed, but participant {} is not configured; in doubt until it is",
                    decision.gid.ToString(), FirstUnconfigured(decision, participants)));
  }
}

}  // namespace

TimePoint ShareOf(const Engine& engine, TimePoint deadline, int parts) {
  const TimePoint now = engine.Now();
  return now < deadline ? now + (deadline - now) / parts : deadline;
}

void EnterRecovered(Engine& engine, Transaction machine, LoggedState expected,
                    PassResult& result) {
  const Gid gid = machine.gid();
  auto live = LiveTransaction::Recovered(engine, std::move(machine));
  if (!engine.Register(live, /*bounded=*/false)) return;
  // A transaction writes its end before it leaves the register, so what the log
  // says now is about this one.
  if (engine.log().Find(gid) != expected) {
    engine.Unregister(gid);
    return;
  }
  result.entered.push_back(live);
  live->Start({});
}

Listing ListEverywhere(Engine& engine, TimePoint deadline) {
  std::set<std::string> names;
  for (const auto& participant : engine.participants()) names.insert(participant->name());
  return ListAt(engine, names, deadline);
}

Listing ListAt(Engine& engine, const std::set<std::string>& names, TimePoint deadline) {
  const auto& participants = engine.participants();
  std::vector<size_t> chosen;
  for (size_t i = 0; i < participants.size(); ++i) {
    if (names.contains(participants[i]->name())) chosen.push_back(i);
  }
  Listing listing;
  std::mutex mutex;
  engine.runtime().RunAll(chosen, [&](size_t i) {
    Result<std::vector<PreparedBranch>> branches = participants[i]->ListPrepared(deadline);
    std::lock_guard lock(mutex);
    if (branches) {
      for (PreparedBranch& branch : *branches) {
        listing.branches.push_back({std::move(branch), participants[i]->name()});
      }
      return;
    }
    engine.readiness().Suspect(i);
    listing.unreachable.push_back(participants[i]->name());
    listing.notices.push_back(fmt::format("{}: cannot list its prepared branches: {}",
                                          participants[i]->name(), branches.error().message()));
  });
  return listing;
}

Result<PassResult> RunRecoveryPass(Engine& engine, const std::string& node, TimePoint deadline,
                                   const std::optional<LogId>& adopt, uint64_t issued_before) {
  INDOUBT_RETURN_IF_ERROR(engine.log().health());
  PassResult result;
  // Nobody who does not answer may use up what the others, and the steps after it, need.
  CloseDecided(engine, node, issued_before, ShareOf(engine, deadline, 4));
  OrphanInput input;
  Listing first = ListEverywhere(engine, ShareOf(engine, deadline, 2));
  input.first = std::move(first.branches);
  std::map<std::string, std::string> unlisted;
  const OutcomeSweep::Kept kept = engine.outcome_sweep().List(
      engine, node, first.unreachable, ShareOf(engine, deadline, 4), unlisted);
  for (const auto& live : engine.Live()) input.active.insert(live->gid());
  input.decided = engine.log().Unended();
  AddDecisionRows(engine, node, adopt, ShareOf(engine, deadline, 4), input, first.notices);
  OutcomeSweep::Forget(engine, kept, input.active);
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("recovery_listed"));
  // Only what was listed can be listed twice.
  std::set<std::string> holding;
  for (const ListedBranch& branch : input.first) holding.insert(branch.listed_by);
  Listing second = ListAt(engine, holding, ShareOf(engine, deadline, 2));
  input.second = std::move(second.branches);
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("recovery_relisted"));
  for (const auto& participant : engine.participants()) {
    input.participants.insert(participant->name());
  }
  input.node = node;
  input.log = engine.log().id();
  input.incarnation = engine.log().incarnation();
  input.adopt = adopt;
  input.find = [&engine](const Gid& gid) { return engine.log().Find(gid); };

  const OrphanSelection selection = SelectOrphans(input);
  std::set<Gid> recorded;
  for (const Decision& decision : input.decided) recorded.insert(decision.gid);
  // Whoever failed the first listing held nothing known, so no name comes twice.
  result.unreachable = std::move(first.unreachable);
  result.unreachable.insert(result.unreachable.end(), second.unreachable.begin(),
                            second.unreachable.end());
  result.notices = std::move(first.notices);
  result.notices.insert(result.notices.end(), second.notices.begin(), second.notices.end());
  for (const auto& [name, why] : unlisted) {
    const auto& away = result.unreachable;
    if (std::find(away.begin(), away.end(), name) != away.end()) continue;
    result.notices.push_back(fmt::format("{}: cannot list its outcome records: {}", name, why));
  }
  result.unconfigured = selection.unconfigured;
  result.misnamed = selection.misnamed;
  Describe(selection, input.participants, result);
  EnterAll(engine, selection, recorded, result);
  AskAndEnter(engine, selection.ask, ShareOf(engine, deadline, 2), result);
  return result;
}

}  // namespace indoubt
