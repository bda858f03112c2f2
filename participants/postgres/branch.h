// One branch: its work, and how it is prepared, committed at once, or committed together
// with the decision.
#pragma once

#include <memory>

#include "participants/last_resource.h"
#include "participants/postgres/core.h"

namespace indoubt::pg {

/// Opens nothing yet; the first statements take a connection.
std::unique_ptr<LastResourceBranch> MakeBranch(std::shared_ptr<Core> core, const Gid& gid,
                                               TimePoint deadline);

}  // namespace indoubt::pg
