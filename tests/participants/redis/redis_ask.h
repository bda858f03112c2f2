// A plain client for tests, beside the adapter, and the adapter made in one line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <hiredis/hiredis.h>

#include "faults/servers.h"
#include "participants/redis/redis_participant.h"

namespace indoubt {

using PlainReply = std::unique_ptr<redisReply, void (*)(redisReply*)>;

/// One connection that knows nothing of locks.
class PlainRedis {
 public:
  explicit PlainRedis(const RedisServer& server)
      : context_(redisConnectUnix(server.socket_path().c_str()), redisFree) {}

  /// Null without a connection.
  PlainReply Send(const std::vector<std::string>& command) {
    std::vector<const char*> argv;
    std::vector<size_t> lengths;
    for (const std::string& word : command) {
      argv.push_back(word.data());
      lengths.push_back(word.size());
    }
    return {static_cast<redisReply*>(redisCommandArgv(
                context_.get(), static_cast<int>(argv.size()), argv.data(), lengths.data())),
            [](redisReply* reply) { freeReplyObject(reply); }};
  }

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

/// The reply of one command as text; empty for nil.
inline std::string Ask(const RedisServer& server, const std::vector<std::string>& command) {
  const PlainReply reply = PlainRedis(server).Send(command);
  if (reply == nullptr) return "error: no connection";
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  return reply->str == nullptr ? "" : std::string(reply->str, reply->len);
}

inline std::unique_ptr<Participant> MakeRedis(
    const std::string& uri, RedisDurability durability = RedisDurability::kStrict) {
  auto made = MakeRedisParticipant({"store", uri, durability, 2});
  INDOUBT_CHECK(made.has_value(), made.error().ToString());
  return std::move(*made);
}

}  // namespace indoubt
