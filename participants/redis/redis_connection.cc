#include "participants/redis/redis_connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include "participants/redis/library_source.h"

namespace indoubt {
namespace {

timeval ToTimeval(Duration duration) {
  const int64_t micros = std::max<int64_t>(1000, duration.count() / 1000);
  return {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000};
}

/// hiredis writes to sockets without MSG_NOSIGNAL: a server that went would end the
/// whole process. While one of these lives, this thread gets no SIGPIPE.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    const timespec none{};
    while (!was_pending_ && sigtimedwait(&pipe_, nullptr, &none) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_ = false;
};

}  // namespace

std::string Text(const redisReply& reply) {
  return reply.str == nullptr ? std::string() : std::string(reply.str, reply.len);
}

bool IsMissingFunction(const redisReply& reply) {
  return reply.type == REDIS_REPLY_ERROR &&
         Text(reply).find("Function not found") != std::string::npos;
}

Result<std::unique_ptr<RedisConnection>> RedisConnection::Connect(const RedisAddress& address,
                                                                  Duration timeout) {
  const timeval limit = ToTimeval(timeout);
  redisContext* context =
      address.unix_path.empty()
          ? redisConnectWithTimeout(address.host.c_str(), address.port, limit)
          : redisConnectUnixWithTimeout(address.unix_path.c_str(), limit);
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, address.Shown()));
  if (context == nullptr || context->err != 0) return connection->Broken();
  INDOUBT_RETURN_IF_ERROR(connection->AllowSilence(timeout));
  std::vector<RedisArguments> greeting;
  if (!address.password.empty()) {
    greeting.push_back(address.user.empty()
                           ? RedisArguments{"AUTH", address.password}
                           : RedisArguments{"AUTH", address.user, address.password});
  }
  greeting.push_back({"SELECT", std::to_string(address.database)});
  INDOUBT_ASSIGN_OR_RETURN(const auto replies, connection->Send(greeting));
  for (const RedisReply& reply : replies) {
    if (reply->type == REDIS_REPLY_ERROR) {
      return Status(StatusCode::kUnavailable,
                    fmt::format("Redis at {}: {}", address.Shown(), Text(*reply)));
    }
  }
  return connection;
}

Status RedisConnection::AllowSilence(Duration silence) {
  if (silence == silence_) return Status::Ok();
  if (redisSetTimeout(context_.get(), ToTimeval(silence)) != REDIS_OK) return Broken();
  silence_ = silence;
  return Status::Ok();
}

Status RedisConnection::Broken() const {
  return Status(StatusCode::kUnavailable,
                fmt::format("Redis at {}: {}", shown_,
                            context_ ? context_->errstr : "cannot make a connection"));
}

Result<std::vector<RedisReply>> RedisConnection::Send(
    const std::vector<RedisArguments>& commands) {
  const NoSigpipe guard;
  for (const RedisArguments& command : commands) {
    std::vector<const char*> argv;
    std::vector<size_t> lengths;
    for (const std::string& argument : command) {
      argv.push_back(argument.data());
      lengths.push_back(argument.size());
    }
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(argv.size()), argv.data(),
                               lengths.data()) != REDIS_OK) {
      return Broken();
    }
  }
  std::vector<RedisReply> replies;
  for (size_t i = 0; i < commands.size(); ++i) {
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK) return Broken();
    replies.emplace_back(static_cast<redisReply*>(raw),
                         [](redisReply* reply) { freeReplyObject(reply); });
  }
  return replies;
}

Result<RedisReply> RedisConnection::SendOne(const RedisArguments& command) {
  INDOUBT_ASSIGN_OR_RETURN(auto replies, Send(std::vector<RedisArguments>{command}));
  return std::move(replies[0]);
}

Status RedisConnection::EnsureLibrary() {
  INDOUBT_ASSIGN_OR_RETURN(const RedisReply version,
                           SendOne({"FCALL", "indoubt_version", "0"}));
  if (version->type == REDIS_REPLY_STRING && Text(*version) == kRedisLibraryVersion) {
    return Status::Ok();
  }
  INDOUBT_ASSIGN_OR_RETURN(const RedisReply loaded, SendOne({"FUNCTION", "LOAD", "REPLACE",
                                                             std::string(kRedisLibrary)}));
  if (loaded->type != REDIS_REPLY_ERROR) return Status::Ok();
  return Status(
      StatusCode::kUnavailable,
      fmt::format("Redis at {}: cannot load the function library: {}", shown_, Text(*loaded)));
}

bool RedisConnection::LooksClosed() const {
  // Between two exchanges the server has nothing to say: readable means that it went.
  pollfd poll_for{.fd = context_->fd, .events = POLLIN, .revents = 0};
  return poll(&poll_for, 1, 0) != 0;
}

}  // namespace indoubt
