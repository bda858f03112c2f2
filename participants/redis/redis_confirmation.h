// What a write must reach before it is answered for: the AOF on disk, and replicas.
#pragma once

#include <optional>

#include "participants/redis/redis_connection.h"
#include "participants/redis/redis_participant.h"

namespace indoubt {

/// How many copies a prepare, commit or roll back waits for behind its reply.
struct RedisConfirmation {
  bool by_waitaof = false;  // else by WAIT: replicas in memory
  int aof = 0;              // fsyncs of the server's own AOF, 0 or 1
  int replicas = 0;         // what min-replicas-to-write asks for

  /// The command to send behind a batch; none when nothing is to be waited for.
  std::optional<RedisArguments> Command() const;
  /// Ok when `reply`, to Command(), says that all copies are there. kUnavailable else:
  /// the batch may be lost in a crash or a failover.
  Status Judge(const redisReply& reply) const;
};

/// Asks the server: WAITAOF is there from 7.2 on; under kRelaxed the AOF may be off and
/// is not waited for. kUnavailable when it does not answer.
Result<RedisConfirmation> AskConfirmation(RedisConnection& connection,
                                          RedisDurability durability);

}  // namespace indoubt
