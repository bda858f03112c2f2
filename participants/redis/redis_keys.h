// The keys that the adapter keeps in a Redis database; library/head.lua has the same.
// Every key that starts with "indoubt:" is the adapter's own.
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
