// One branch: its work, and how it is prepared or committed at once.
#pragma once

#include <memory>

#include "participants/postgres/core.h"

namespace indoubt::pg {

/// Opens nothing yet; the first statements take a connection.
std::unique_ptr<Branch> MakeBranch(std::shared_ptr<Core> core, const Gid& gid,
                                   TimePoint deadline);

}  // namespace indoubt::pg
