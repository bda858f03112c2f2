// What the function library answers to a call.
#pragma once

#include <string>
#include <vector>

#include "participants/participant.h"
#include "participants/redis/redis_connection.h"

namespace indoubt {

/// An answer of the library's: {tag, ...}, or the server's own error.
struct RedisAnswer {
  std::string tag;                       // "error" for the server's own
  std::string reason;                    // or the locked key
  std::string holder;                    // with "locked"
  std::vector<StatementResult> results;  // with "yes", "read_only", "worked"
  std::string digest;                    // with "worked"
};

RedisAnswer DecodeAnswer(const redisReply& reply);

}  // namespace indoubt
