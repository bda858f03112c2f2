#include "participants/redis/redis_connection.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "participants/redis/library_source.h"

namespace indoubt {
namespace {

constexpr Duration kMillisecond = std::chrono::milliseconds(1);

timeval ToTimeval(Duration duration) {
  const int64_t micros = std::max<int64_t>(1000, duration.count() / 1000);
  return {.tv_sec = micros / 1'000'000, .tv_usec = micros % 1'000'000};
}

/// False when there is no memory for it.
bool AppendCommand(const RedisArguments& command, std::string& to) {
  std::vector<const char*> argv;
  std::vector<size_t> lengths;
  argv.reserve(command.size());
  lengths.reserve(command.size());
  for (const std::string& argument : command) {
    argv.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  char* bytes = nullptr;
  const int length = redisFormatCommandArgv(&bytes, static_cast<int>(argv.size()), argv.data(),
                                            lengths.data());
  if (length < 0) return false;
  to.append(bytes, static_cast<size_t>(length));
  redisFreeCommand(bytes);
  return true;
}

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
  return Lost(context_ ? context_->errstr : "cannot make a connection");
}

Status RedisConnection::Lost(std::string_view why) const {
  return Status(StatusCode::kUnavailable, fmt::format("Redis at {}: {}", shown_, why));
}

/// hiredis would write without MSG_NOSIGNAL: a server that went would end the whole process.
Status RedisConnection::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return Lost(errno == EAGAIN ? "it takes no more" : std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return Status::Ok();
}

Result<std::vector<RedisReply>> RedisConnection::Send(
    const std::vector<RedisArguments>& commands) {
  std::string request;
  for (const RedisArguments& command : commands) {
    if (!AppendCommand(command, request)) return Lost("no memory for a command");
  }
  INDOUBT_RETURN_IF_ERROR(Write(request));
  std::vector<RedisReply> replies;
  replies.reserve(commands.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    INDOUBT_ASSIGN_OR_RETURN(RedisReply reply, Read());
    replies.push_back(std::move(reply));
  }
  return replies;
}

/// Waits in poll(): a thread that waits in read() on a unix socket is woken for nothing, when
/// the server takes the request, and the server pays for that.
Result<RedisReply> RedisConnection::Read() {
  void* raw = nullptr;
  for (;;) {
    if (redisReaderGetReply(context_->reader, &raw) != REDIS_OK) {
      return Lost(context_->reader->errstr);
    }
    if (raw != nullptr) {
      return RedisReply(static_cast<redisReply*>(raw),
                        [](redisReply* reply) { freeReplyObject(reply); });
    }
    pollfd poll_for{.fd = context_->fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&poll_for, 1, static_cast<int>(silence_ / kMillisecond));
    if (ready == 0) return Lost("no answer");
    if (ready < 0 && errno != EINTR) return Lost(std::strerror(errno));
    if (ready > 0 && redisBufferRead(context_.get()) != REDIS_OK) return Broken();
  }
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
