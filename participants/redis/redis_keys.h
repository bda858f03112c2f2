// The keys that the adapter keeps in a Redis database; library/head.lua has the same.
// Every key that starts with "indoubt:" is indoubt's own: "indoubt:cdc:" those of the derived
// views (cdc/views/redis_view.h), the others the adapter's.
#pragma once

#include <string_view>

namespace indoubt {

/// Hash: prepared, undecided branch ("idt:gid:participant") -> its intent.
inline constexpr std::string_view kRedisPreparedKey = "indoubt:prepared";
/// Hash: key -> branch that holds its lock.
inline constexpr std::string_view kRedisLocksKey = "indoubt:locks";
/// Hash: committed branch -> how, until its transaction has ended everywhere.
inline constexpr std::string_view kRedisOutcomesKey = "indoubt:outcomes";

}  // namespace indoubt
