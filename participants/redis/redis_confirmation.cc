#include "participants/redis/redis_confirmation.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace indoubt {
namespace {

// Less than the time that a pipeline gives one exchange.
constexpr const char* kWaitMillis = "1000";

bool HasWaitAof(const std::string& info) {
  int major = 0, minor = 0;
  const size_t at = info.find("redis_version:");
  if (at == std::string::npos ||
      std::sscanf(info.c_str() + at, "redis_version:%d.%d", &major, &minor) != 2) {
    return false;
  }
  return std::pair(major, minor) >= std::pair(7, 2);
}

int64_t IntegerOf(const redisReply& reply) {
  return reply.type == REDIS_REPLY_INTEGER ? reply.integer : -1;
}

}  // namespace

std::optional<RedisArguments> RedisConfirmation::Command() const {
  if (by_waitaof && aof + replicas > 0) {
    return RedisArguments{"WAITAOF", std::to_string(aof), std::to_string(replicas),
                          kWaitMillis};
  }
  if (replicas > 0) return RedisArguments{"WAIT", std::to_string(replicas), kWaitMillis};
  return std::nullopt;
}

Status RedisConfirmation::Judge(const redisReply& reply) const {
  if (reply.type == REDIS_REPLY_ERROR) {
    return Status(StatusCode::kUnavailable,
                  "the server does not confirm its copies: " + Text(reply));
  }
  const bool two = by_waitaof && reply.type == REDIS_REPLY_ARRAY && reply.elements == 2;
  const int64_t on_disk = two ? IntegerOf(*reply.element[0]) : 0;
  const int64_t replicated =
      by_waitaof ? (two ? IntegerOf(*reply.element[1]) : -1) : IntegerOf(reply);
  if ((!by_waitaof || on_disk >= aof) && replicated >= replicas) return Status::Ok();
  return Status(
      StatusCode::kUnavailable,
      fmt::format("{} of {} AOF and {} of {} replicas confirmed the write within {} ms; look "
                  "at the disk and at the replicas",
                  on_disk, by_waitaof ? aof : 0, replicated, replicas, kWaitMillis));
}

Result<RedisConfirmation> AskConfirmation(RedisConnection& connection,
                                          RedisDurability durability) {
  INDOUBT_ASSIGN_OR_RETURN(
      const auto replies, connection.Send(std::vector<RedisArguments>{
                              {"INFO", "server"}, {"CONFIG", "GET", "min-replicas-to-write"}}));
  RedisConfirmation confirmation;
  confirmation.by_waitaof = HasWaitAof(Text(*replies[0]));
  confirmation.aof = durability == RedisDurability::kStrict ? 1 : 0;
  if (replies[1]->type == REDIS_REPLY_ARRAY && replies[1]->elements == 2) {
    confirmation.replicas = std::atoi(Text(*replies[1]->element[1]).c_str());
  }
  return confirmation;
}

}  // namespace indoubt
