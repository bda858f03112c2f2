// The prepared branches of a database, and their tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "participants/postgres/core.h"

namespace indoubt::pg {

/// The full transaction id of a 32-bit one that is older than `next`, the next to be
/// given out, by less than one turn of the counter.
uint64_t WidenXid(uint32_t xid, uint64_t next);

/// Blocks until `deadline`; not on the pool's thread.
Result<std::vector<PreparedBranch>> ListPrepared(Core& core, TimePoint deadline);

}  // namespace indoubt::pg
