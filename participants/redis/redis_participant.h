// Redis as a participant. Redis has no XA: a Redis Function library of indoubt's
// own adds intents, locks and outcomes (library/ says how).
#pragma once

#include <memory>
#include <string>

#include "participants/participant.h"

namespace indoubt {

enum class RedisDurability {
  kStrict,   // refuse a server whose yes would not survive a crash
  kRelaxed,  // let it in; every outcome says so
};

struct RedisOptions {
  std::string name;  // the participant's
  std::string
      uri;  // "redis://[user:password@]host:port/db" or "unix:///path?db=0"; never shown
  RedisDurability durability = RedisDurability::kStrict;
  int connections = 1;  // that many transactions share, pipelined; at least 1
};

/// Connects on first use; does not touch the server yet. kInvalidArgument for a
/// URI that is none.
Result<std::unique_ptr<Participant>> MakeRedisParticipant(const RedisOptions& options);

}  // namespace indoubt
