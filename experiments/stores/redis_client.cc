#include <cmath>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "experiments/stores/store_clients.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {
namespace {

constexpr size_t kBatch = 512;

void FreeReply(redisReply* reply) { freeReplyObject(reply); }

timeval ToTimeval(Duration duration) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return timeval{us / 1'000'000, us % 1'000'000};
}

Status Lost(const redisContext* context) {
  return Status(StatusCode::kUnavailable, fmt::format("Redis: {}", context->errstr));
}

void Append(redisContext* context, const std::vector<std::string>& arguments) {
  std::vector<const char*> pointers;
  std::vector<size_t> lengths;
  for (const std::string& argument : arguments) {
    pointers.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  redisAppendCommandArgv(context, static_cast<int>(pointers.size()), pointers.data(),
                         lengths.data());
}

}  // namespace

RedisClient::RedisClient(redisContext* context) : context_(context, redisFree) {}

Result<std::unique_ptr<RedisClient>> RedisClient::Connect(const std::string& uri,
                                                          Duration timeout) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(uri));
  const timeval limit = ToTimeval(timeout);
  redisContext* raw = address.unix_path.empty()
                          ? redisConnectWithTimeout(address.host.c_str(), address.port, limit)
                          : redisConnectUnixWithTimeout(address.unix_path.c_str(), limit);
  if (raw == nullptr) return Status(StatusCode::kUnavailable, "Redis: no memory to connect");
  std::unique_ptr<RedisClient> client(new RedisClient(raw));
  client->uri_ = uri;
  client->timeout_ = timeout;
  if (raw->err != 0) return Lost(raw);
  redisSetTimeout(raw, limit);
  if (!address.password.empty()) {
    std::vector<std::string> login{"AUTH", address.password};
    if (!address.user.empty()) login.insert(login.begin() + 1, address.user);
    INDOUBT_RETURN_IF_ERROR(client->Run(login).status());
  }
  if (address.database != 0) {
    INDOUBT_RETURN_IF_ERROR(client->Run({"SELECT", std::to_string(address.database)}).status());
  }
  return client;
}

Status RedisClient::Revive() {
  if (context_->err == 0) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(const auto fresh, Connect(uri_, timeout_));
  context_ = std::move(fresh->context_);
  return Status::Ok();
}

Result<RedisClient::Reply> RedisClient::Run(const std::vector<std::string>& arguments) {
  INDOUBT_ASSIGN_OR_RETURN(std::vector<Reply> replies, RunAll({arguments}));
  if (replies[0]->type == REDIS_REPLY_ERROR) {
    return Status(StatusCode::kAborted, fmt::format("Redis: {}", replies[0]->str));
  }
  return std::move(replies[0]);
}

Result<std::vector<RedisClient::Reply>> RedisClient::RunAll(
    const std::vector<std::vector<std::string>>& commands) {
  for (const auto& command : commands) Append(context_.get(), command);
  std::vector<Reply> replies;
  for (size_t i = 0; i < commands.size(); ++i) {
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK) return Lost(context_.get());
    replies.emplace_back(static_cast<redisReply*>(raw), FreeReply);
  }
  return replies;
}

Result<std::vector<std::string>> RedisClient::Keys(const std::string& pattern) {
  std::vector<std::string> keys;
  std::string cursor = "0";
  do {
    INDOUBT_ASSIGN_OR_RETURN(const Reply reply,
                             Run({"SCAN", cursor, "MATCH", pattern, "COUNT", "1000"}));
    cursor.assign(reply->element[0]->str, reply->element[0]->len);
    const redisReply* page = reply->element[1];
    for (size_t i = 0; i < page->elements; ++i) {
      keys.emplace_back(page->element[i]->str, page->element[i]->len);
    }
  } while (cursor != "0");
  // SCAN may give a key twice while the table is being resized.
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

Result<std::vector<Cell>> RedisClient::Get(const std::vector<std::string>& keys) {
  std::vector<Cell> values;
  for (size_t from = 0; from < keys.size(); from += kBatch) {
    std::vector<std::string> command{"MGET"};
    const size_t to = std::min(keys.size(), from + kBatch);
    command.insert(command.end(), keys.begin() + static_cast<std::ptrdiff_t>(from),
                   keys.begin() + static_cast<std::ptrdiff_t>(to));
    INDOUBT_ASSIGN_OR_RETURN(const Reply reply, Run(command));
    for (size_t i = 0; i < reply->elements; ++i) {
      const redisReply* element = reply->element[i];
      values.push_back(element->type == REDIS_REPLY_STRING
                           ? Cell(std::string(element->str, element->len))
                           : Cell());
    }
  }
  return values;
}

}  // namespace indoubt
