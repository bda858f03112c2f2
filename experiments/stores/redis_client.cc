#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "experiments/stores/store_clients.h"

namespace indoubt {
namespace {

constexpr size_t kBatch = 512;

void FreeReply(redisReply* reply) { freeReplyObject(reply); }

/// The parts of a URI that this client needs.
struct RedisAddress {
  std::string socket;  // empty: TCP
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string user, password;
  std::string database = "0";
};

Status BadUri() {
  return Status(StatusCode::kInvalidArgument,
                "Redis: the URI is neither redis://[user:password@]host:port/db nor "
                "unix:///path?db=0");
}

Result<RedisAddress> ParseUri(std::string_view uri) {
  RedisAddress address;
  if (uri.starts_with("unix://")) {
    uri.remove_prefix(7);
    const size_t question = uri.find('?');
    address.socket = uri.substr(0, question);
    if (question != std::string_view::npos) {
      const std::string_view query = uri.substr(question + 1);
      if (!query.starts_with("db=")) return BadUri();
      address.database = query.substr(3);
    }
    return address.socket.empty() ? Result<RedisAddress>(BadUri()) : address;
  }
  if (!uri.starts_with("redis://")) return BadUri();
  uri.remove_prefix(8);
  if (const size_t at = uri.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = uri.substr(0, at);
    const size_t colon = login.find(':');
    if (colon == std::string_view::npos) return BadUri();
    address.user = login.substr(0, colon);
    address.password = login.substr(colon + 1);
    uri.remove_prefix(at + 1);
  }
  const size_t slash = uri.find('/');
  if (slash != std::string_view::npos) address.database = uri.substr(slash + 1);
  const std::string_view host = uri.substr(0, slash);
  const size_t colon = host.rfind(':');
  address.host = host.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = host.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size()) return BadUri();
  }
  return address;
}

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
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseUri(uri));
  const timeval limit = ToTimeval(timeout);
  redisContext* raw = address.socket.empty()
                          ? redisConnectWithTimeout(address.host.c_str(), address.port, limit)
                          : redisConnectUnixWithTimeout(address.socket.c_str(), limit);
  if (raw == nullptr) return Status(StatusCode::kUnavailable, "Redis: no memory to connect");
  std::unique_ptr<RedisClient> client(new RedisClient(raw));
  if (raw->err != 0) return Lost(raw);
  redisSetTimeout(raw, limit);
  if (!address.password.empty()) {
    std::vector<std::string> login{"AUTH", address.password};
    if (!address.user.empty()) login.insert(login.begin() + 1, address.user);
    INDOUBT_RETURN_IF_ERROR(client->Run(login).status());
  }
  if (address.database != "0" && !address.database.empty()) {
    INDOUBT_RETURN_IF_ERROR(client->Run({"SELECT", address.database}).status());
  }
  return client;
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
