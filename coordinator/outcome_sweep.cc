#include "coordinator/outcome_sweep.h"

#include <algorithm>
#include <mutex>

#include "coordinator/engine.h"
#include "participants/last_resource.h"

namespace indoubt {
namespace {

/// Whether `gid`, of an earlier incarnation and not active, is over for whoever decided it.
bool IsOver(const Engine& engine, const Gid& gid,
            const std::optional<std::set<Gid>>& standing) {
  switch (engine.log().Find(gid)) {
    case LoggedState::kEnded:
      return true;
    case LoggedState::kUnknown:
      break;
    default:
      return false;
  }
  // Too old for the log, or committed in one phase: all the log's commits that have not ended
  // are known. Of one at a last resource the row stands until it has ended.
  if (gid.home.empty()) return true;
  const LastResource* last_resource = engine.TheLastResource();
  return standing && last_resource != nullptr && last_resource->home() == gid.home.view() &&
         !standing->contains(gid);
}

bool IsHeuristic(const std::vector<HeuristicRecord>& heuristics, const Gid& gid,
                 const std::string& participant) {
  return std::any_of(heuristics.begin(), heuristics.end(), [&](const HeuristicRecord& record) {
    return record.gid == gid && record.participant == participant;
  });
}

}  // namespace

OutcomeSweep::Kept OutcomeSweep::List(Engine& engine, const std::string& node,
                                      const std::vector<std::string>& unreachable,
                                      TimePoint deadline,
                                      std::map<std::string, std::string>& failures) {
  const auto& participants = engine.participants();
  std::vector<size_t> chosen;
  for (size_t i = 0; i < participants.size(); ++i) {
    const bool away = std::find(unreachable.begin(), unreachable.end(),
                                participants[i]->name()) != unreachable.end();
    if (!away && !swept_.contains(i)) chosen.push_back(i);
  }
  Kept kept;
  std::mutex mutex;
  engine.runtime().RunAll(chosen, [&](size_t i) {
    const Result<std::vector<Gid>> listed = participants[i]->ListOutcomes(node, deadline);
    std::lock_guard lock(mutex);
    if (!listed) {
      failures[participants[i]->name()] = listed.error().message();
      return;
    }
    if (listed->size() < Participant::kMostOutcomes) swept_.insert(i);
    for (const Gid& gid : *listed) {
      const bool earlier = gid.node == node && gid.log == engine.log().id() &&
                           gid.incarnation < engine.log().incarnation();
      if (earlier) kept[gid].push_back(i);
    }
  });
  return kept;
}

void OutcomeSweep::Forget(Engine& engine, const Kept& kept, const std::set<Gid>& active,
                          const std::optional<std::set<Gid>>& standing) {
  const std::vector<HeuristicRecord> heuristics = engine.log().Heuristics();
  bool any = false;
  for (const auto& [gid, keepers] : kept) {
    if (active.contains(gid) || !IsOver(engine, gid, standing)) continue;
    std::vector<size_t> forgetters;
    for (const size_t i : keepers) {
      if (!IsHeuristic(heuristics, gid, engine.participants()[i]->name())) {
        forgetters.push_back(i);
      }
    }
    if (forgetters.empty()) continue;
    engine.Ended(gid, std::move(forgetters));
    any = true;
  }
  if (!any) return;
  engine.log().FlushEnds([&engine, ended = engine.ended()](const Status& flushed) {
    if (!engine.Enter()) return;
    if (flushed.ok()) engine.ForgetEnded(ended);
    engine.Leave();
  });
}

}  // namespace indoubt
