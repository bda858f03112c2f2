// Locks in Redis that no branch holds: found by the preflight, dropped by
// indoubt doctor --repair.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "participants/redis/redis_participant.h"

namespace indoubt {

class RedisConnection;

/// Drops every lock whose branch is not prepared, and nothing else. Returns a line that
/// says how many, none when there were none. kUnavailable when the server does not answer
/// by `deadline`, or refuses.
Result<std::vector<std::string>> RepairRedis(const RedisOptions& options, TimePoint deadline);

/// A warning when there are such locks among the first thousand; empty: there are none. The
/// server must have the library.
Result<std::string> WarnOfStrayLocks(RedisConnection& connection);

}  // namespace indoubt
