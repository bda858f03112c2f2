#include "cdc/redis_connection.h"

#include <charconv>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

namespace indoubt::cdc_internal {
namespace {

constexpr timeval kConnectTimeout{2, 0};
constexpr timeval kReplyTimeout{5, 0};

Status WrongUri(std::string_view why) {
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("Redis URI: {}; the form is redis://[user:password@]host:port/db or "
                  "unix:///path?db=0",
                  why));
}

bool ParseNumber(std::string_view text, int limit, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 &&
         value <= limit;
}

void FreeReply(redisReply* reply) { freeReplyObject(reply); }

}  // namespace

Result<RedisAddress> ParseRedisUri(const std::string& uri) {
  RedisAddress address;
  std::string_view rest = uri;
  if (rest.starts_with("unix://")) {
    rest.remove_prefix(7);
    const size_t query = rest.find("?db=");
    address.unix_path = rest.substr(0, query);
    if (address.unix_path.empty() || address.unix_path[0] != '/') return WrongUri("no path");
    if (query != std::string_view::npos &&
        !ParseNumber(rest.substr(query + 4), 1'000'000, address.database)) {
      return WrongUri("the database is no number");
    }
    return address;
  }
  if (!rest.starts_with("redis://")) return WrongUri("unknown scheme");
  rest.remove_prefix(8);
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    const size_t colon = login.find(':');
    if (colon == std::string_view::npos) return WrongUri("a user without a password");
    address.user = login.substr(0, colon);
    address.password = login.substr(colon + 1);
    rest.remove_prefix(at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != std::string_view::npos) {
    const std::string_view database = rest.substr(slash + 1);
    if (!database.empty() && !ParseNumber(database, 1'000'000, address.database)) {
      return WrongUri("the database is no number");
    }
    rest = rest.substr(0, slash);
  }
  if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    if (!ParseNumber(rest.substr(colon + 1), 65535, address.port)) {
      return WrongUri("the port is no number");
    }
    rest = rest.substr(0, colon);
  }
  address.host = rest;
  if (address.host.empty()) return WrongUri("no host");
  return address;
}

SigpipeBlocked::SigpipeBlocked() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before_);
}

SigpipeBlocked::~SigpipeBlocked() {
  if (sigismember(&before_, SIGPIPE) != 1) {
    // What became pending meanwhile was ours: it must not strike once unblocked.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    constexpr timespec kNow{0, 0};
    while (sigtimedwait(&pipe, nullptr, &kNow) > 0) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

RedisConnection::RedisConnection(redisContext* context) : context_(context, redisFree) {}

Result<std::unique_ptr<RedisConnection>> RedisConnection::Connect(const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(uri));
  redisContext* context =
      address.unix_path.empty()
          ? redisConnectWithTimeout(address.host.c_str(), address.port, kConnectTimeout)
          : redisConnectUnixWithTimeout(address.unix_path.c_str(), kConnectTimeout);
  if (context == nullptr) return Status(StatusCode::kUnavailable, "Redis: out of memory");
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context));
  if (context->err != 0 || redisSetTimeout(context, kReplyTimeout) != REDIS_OK) {
    return connection->Lost();
  }
  if (!address.password.empty()) {
    std::vector<std::string> login{"AUTH"};
    if (!address.user.empty()) login.push_back(address.user);
    login.push_back(address.password);
    INDOUBT_RETURN_IF_ERROR(connection->Ask(login).status());
  }
  if (address.database != 0) {
    INDOUBT_RETURN_IF_ERROR(
        connection->Ask({"SELECT", std::to_string(address.database)}).status());
  }
  return connection;
}

Status RedisConnection::Lost() const {
  return Status(StatusCode::kUnavailable, fmt::format("Redis: {}", context_->errstr));
}

Status RedisConnection::Append(const std::vector<std::string>& command) {
  std::vector<const char*> arguments;
  std::vector<size_t> lengths;
  for (const std::string& argument : command) {
    arguments.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  if (redisAppendCommandArgv(context_.get(), static_cast<int>(arguments.size()),
                             arguments.data(), lengths.data()) != REDIS_OK) {
    return Lost();
  }
  return Status::Ok();
}

Result<RedisReplyPtr> RedisConnection::Receive() {
  void* reply = nullptr;
  if (redisGetReply(context_.get(), &reply) != REDIS_OK) return Lost();
  return RedisReplyPtr(static_cast<redisReply*>(reply), FreeReply);
}

Result<RedisReplyPtr> RedisConnection::Ask(const std::vector<std::string>& command) {
  INDOUBT_RETURN_IF_ERROR(Append(command));
  INDOUBT_ASSIGN_OR_RETURN(RedisReplyPtr reply, Receive());
  if (reply->type == REDIS_REPLY_ERROR) {
    return Status(StatusCode::kRefused, fmt::format("Redis: {}: {}", command[0],
                                                    std::string(reply->str, reply->len)));
  }
  return reply;
}

}  // namespace indoubt::cdc_internal
