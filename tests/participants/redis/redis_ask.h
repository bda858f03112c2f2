// A plain client for tests, beside the adapter, and the adapter made in one line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>

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

/// A TCP port that was free a moment ago.
inline std::string FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  INDOUBT_CHECK(bind(fd, raw, length) == 0 && getsockname(fd, raw, &length) == 0, "no port");
  close(fd);
  return std::to_string(ntohs(address.sin_port));
}

/// Makes the server listen on 127.0.0.1 too, and returns the port.
inline std::string OpenTcpPort(const RedisServer& server) {
  for (;;) {
    std::string port = FreePort();
    if (Ask(server, {"CONFIG", "SET", "port", port}) == "OK") return port;
  }
}

inline std::unique_ptr<Participant> MakeRedis(
    const std::string& uri, RedisDurability durability = RedisDurability::kStrict) {
  auto made = MakeRedisParticipant({"store", uri, durability, 2});
  INDOUBT_CHECK(made.has_value(), made.error().ToString());
  return std::move(*made);
}

}  // namespace indoubt
