#include "cdc/views/redis_connection.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include "participants/redis/redis_uri.h"

namespace indoubt::cdc_internal {
namespace {

constexpr timeval kConnectTimeout{2, 0};
constexpr timeval kReplyTimeout{5, 0};

void FreeReply(redisReply* reply) { freeReplyObject(reply); }

}  // namespace

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
