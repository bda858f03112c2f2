// The part of a recovery pass that concerns decisions which live in a last resource.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <fmt/format.h>

#include "coordinator/live_transaction.h"
#include "coordinator/recovery_pass.h"

namespace indoubt {
namespace {

/// What the last resources have answered; shared with callbacks that come too late.
struct Answers {
  std::mutex mutex;
  std::map<Gid, StandingDecision> standing;  // guarded by mutex
};

std::map<Gid, StandingDecision> AskAll(Engine& engine, const std::vector<Decision>& orphans,
                                       TimePoint deadline) {
  const auto answers = std::make_shared<Answers>();
  size_t asked = 0;
  for (const Decision& orphan : orphans) {
    LastResource* last_resource = engine.LastResourceAt(orphan.gid.home.view());
    if (last_resource == nullptr) continue;
    ++asked;
    last_resource->Ask(orphan.gid, deadline,
                       [&engine, answers, gid = orphan.gid](StandingDecision standing) {
                         {
                           const std::lock_guard lock(answers->mutex);
                           answers->standing[gid] = std::move(standing);
                         }
                         engine.Notify();
                       });
  }
  // Each answers by the deadline on its own; this is for one that does not.
  engine.WaitUntil(deadline + std::chrono::seconds(1), [&] {
    const std::lock_guard lock(answers->mutex);
    return answers->standing.size() == asked;
  });
  const std::lock_guard lock(answers->mutex);
  return answers->standing;
}

std::string WhyUndecided(Engine& engine, const Gid& gid, const StandingDecision* answer) {
  if (engine.LastResourceAt(gid.home.view()) == nullptr) {
    return fmt::format(
        "{}: prepared, and decided in the decision table {} of a last resource that is not "
        "reachable under this configuration; in doubt until it is",
        gid.ToString(), gid.home.view());
  }
  return fmt::format("{}: prepared, and its last resource cannot tell the decision yet: {}",
                     gid.ToString(), answer == nullptr ? "no answer" : answer->reason);
}

}  // namespace

void CloseDecided(Engine& engine, const std::string& node, uint64_t issued_before,
                  TimePoint deadline) {
  LastResource* last_resource = engine.TheLastResource();
  if (last_resource == nullptr || last_resource->home().empty()) return;
  Gid floor{node, engine.log().id(), engine.log().incarnation(), issued_before};
  for (const auto& live : engine.Live()) {
    const Gid& gid = live->gid();
    const bool mine = gid.log == floor.log && gid.incarnation == floor.incarnation;
    if (mine) floor.number = std::min(floor.number, gid.number);
  }
  // What it cannot do now, the next pass does.
  static_cast<void>(last_resource->CloseBelow(floor, deadline));
}

std::vector<Decision> ListDecisionRows(Engine& engine, const std::string& node,
                                       const std::optional<LogId>& adopt, TimePoint deadline,
                                       std::vector<std::string>& notices) {
  std::vector<Decision> all;
  LastResource* last_resource = engine.TheLastResource();
  if (last_resource == nullptr) return all;
  const auto list = [&](const LogId& log, uint32_t incarnation) {
    auto rows = last_resource->ListDecisions(node, log, incarnation, deadline);
    if (!rows) {
      notices.push_back(fmt::format("the decision table {} cannot be listed: {}",
                                    last_resource->home(), rows.error().message()));
      return;
    }
    std::move(rows->begin(), rows->end(), std::back_inserter(all));
  };
  list(engine.log().id(), engine.log().incarnation());
  if (adopt) list(*adopt, 0);
  return all;
}

Result<bool> HasDecisionRow(Engine& engine, const Gid& gid, TimePoint deadline) {
  LastResource* last_resource = engine.LastResourceAt(gid.home.view());
  if (last_resource == nullptr) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("{}: its decision lives in the decision table {}, and the last "
                              "resource with that table cannot be asked",
                              gid.ToString(), gid.home.view()));
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<Decision> rows,
                           last_resource->ListDecisions(gid.node.view(), gid.log, 0, deadline));
  if (std::any_of(rows.begin(), rows.end(),
                  [&](const Decision& row) { return row.gid == gid; })) {
    return true;
  }
  if (std::ssize(rows) < LastResource::kMostListed) return false;
  return Status(StatusCode::kUnavailable,
                fmt::format("{}: the decision table {} has more than {} rows, and this one may "
                            "be among those that were not listed; ask again when recovery has "
                            "ended some",
                            gid.ToString(), gid.home.view(), LastResource::kMostListed));
}

void AskAndEnter(Engine& engine, const std::vector<Decision>& orphans, TimePoint deadline,
                 PassResult& result) {
  if (orphans.empty()) return;
  const auto standing = AskAll(engine, orphans, deadline);
  std::set<std::string> participants;
  for (const auto& participant : engine.participants())
    participants.insert(participant->name());
  for (const Decision& orphan : orphans) {
    const auto answer = standing.find(orphan.gid);
    const StandingDecision* known = answer == standing.end() ? nullptr : &answer->second;
    if (known == nullptr || known->outcome == DecisionOutcome::kUnknown) {
      result.notices.push_back(WhyUndecided(engine, orphan.gid, known));
      result.undecided.push_back(orphan);
      continue;
    }
    result.asked = true;
    if (known->outcome == DecisionOutcome::kAborted) {
      EnterRecovered(engine, Transaction::RecoveredOrphan(orphan.gid, orphan.branches),
                     LoggedState::kUnknown, result);
      continue;
    }
    // A commit that arrived after T was read. Its row names all branches.
    const Decision row{orphan.gid, known->branches};
    if (FirstUnconfigured(row, participants).empty()) {
      EnterRecovered(engine, Transaction::RecoveredCommit(row), LoggedState::kUnknown, result);
    } else {
      result.unconfigured.push_back(row);
    }
  }
}

}  // namespace indoubt
