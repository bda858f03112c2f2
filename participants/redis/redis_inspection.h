// Whether a Redis server can keep the promise of a yes vote.
#pragma once

#include "participants/redis/redis_connection.h"
#include "participants/redis/redis_participant.h"

namespace indoubt {

/// Asks the server for version, role and durability. Problems name the setting and
/// the remedy. kRelaxed turns those of durability into warnings; what the adapter
/// cannot work with at all (a replica, cluster mode, no functions) stays a problem.
Result<PreflightReport> InspectRedis(RedisConnection& connection, RedisDurability durability);

}  // namespace indoubt
