#include "coordinator/outcome_sweep.h"

#include <algorithm>
#include <mutex>

#include "coordinator/engine.h"

namespace indoubt {
namespace {

/// Whether the log knows `gid`, of an earlier incarnation and not active, to be over.
bool IsOver(const Engine& engine, const Gid& gid) {
  switch (engine.log().Find(gid)) {
    case LoggedState::kEnded:
      return true;
    case LoggedState::kUnknown:
      // Too old for the log, or committed in one phase: all of its commits that have not ended
      // are known. One at a last resource may be a row that is still to come.
      return gid.home.empty();
    default:
      return false;
  }
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

void OutcomeSweep::Forget(Engine& engine, const Kept& kept, const std::set<Gid>& active) {
  const std::vector<HeuristicRecord> heuristics = engine.log().Heuristics();
  bool any = false;
  for (const auto& [gid, keepers] : kept) {
    if (active.contains(gid) || !IsOver(engine, gid)) continue;
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
