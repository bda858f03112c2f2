// Asking and tending the decision table, on connections of the second phase: never behind
// work that is itself blocked by what an answer would release.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "participants/last_resource.h"
#include "participants/postgres/core.h"

namespace indoubt::pg {

/// LastResource::Ask. Any thread.
void AskStanding(const std::shared_ptr<Core>& core, const Gid& gid, TimePoint deadline,
                 StandingCallback done);
/// LastResource::ListDecisions. Blocks; not on the pool's thread.
Result<std::vector<Decision>> ListDecisions(const std::shared_ptr<Core>& core,
                                            std::string_view node, const LogId& log,
                                            uint32_t incarnation, TimePoint deadline);
/// LastResource::ForgetDecisions. Any thread.
void ForgetDecisions(const std::shared_ptr<Core>& core, const std::vector<Gid>& gids,
                     TimePoint deadline, DoneCallback done);
/// Raises the floor and removes abort rows below it; returns how many are left, of the first
/// thousand or so. Blocks; not on the pool's thread.
Result<int> CloseBelow(const std::shared_ptr<Core>& core, const Gid& floor, TimePoint deadline);

}  // namespace indoubt::pg
