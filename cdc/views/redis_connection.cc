#include "cdc/views/redis_connection.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include "participants/redis/redis_uri.h"

namespace indoubt::cdc_internal {
namespace {

constexpr std::chrono::seconds kConnectWithin{2};

// Never 0, which is for ever.
timeval ToTimeval(Duration duration) {
  const auto micros = std::max<int64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count(), 1);
  return {micros / 1'000'000, micros % 1'000'000};
}

void FreeReply(redisReply* reply) { freeReplyObject(reply); }

// How hiredis' reader makes a RedisExecReply, the reader's privdata, of an EXEC's reply. What
// they return stands for the object that was made; the reader wants it not to be null.
RedisExecReply& ExecReplyOf(const redisReadTask* task) {
  return *static_cast<RedisExecReply*>(task->privdata);
}

void* TakeText(const redisReadTask* task, char* text, size_t size) {
  RedisExecReply& reply = ExecReplyOf(task);
  if (task->type != REDIS_REPLY_ERROR) return &reply;
  if (task->parent == nullptr) {
    reply.refused.assign(text, size);
  } else if (task->parent->parent == nullptr && !reply.failed) {
    reply.failed = static_cast<size_t>(task->idx);
    reply.failed_reason.assign(text, size);
  }
  return &reply;
}

void* TakeArray(const redisReadTask* task, int) {
  RedisExecReply& reply = ExecReplyOf(task);
  if (task->parent == nullptr) reply.done = true;
  return &reply;
}

redisReplyObjectFunctions ExecFunctions() {
  redisReplyObjectFunctions functions{};
  functions.createString = TakeText;
  functions.createArray = TakeArray;
  functions.createInteger = [](const redisReadTask* task, long long) { return task->privdata; };
  functions.createNil = [](const redisReadTask* task) { return task->privdata; };
  functions.freeObject = [](void*) {};
  return functions;
}

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

RedisConnection::RedisConnection(redisContext* context, Duration patience)
    : context_(context, redisFree), patience_(patience) {}

Result<std::unique_ptr<RedisConnection>> RedisConnection::Connect(const std::string& uri,
                                                                  Duration patience) {
  INDOUBT_ASSIGN_OR_RETURN(const RedisAddress address, ParseRedisUri(uri));
  const timeval connect_within = ToTimeval(std::min<Duration>(patience, kConnectWithin));
  redisContext* context =
      address.unix_path.empty()
          ? redisConnectWithTimeout(address.host.c_str(), address.port, connect_within)
          : redisConnectUnixWithTimeout(address.unix_path.c_str(), connect_within);
  if (context == nullptr) return Status(StatusCode::kUnavailable, "Redis: out of memory");
  std::unique_ptr<RedisConnection> connection(new RedisConnection(context, patience));
  if (context->err != 0 || redisSetTimeout(context, ToTimeval(patience)) != REDIS_OK) {
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
  // What a socket says whose time for reading is over.
  static const std::string kLate = std::generic_category().message(EAGAIN);
  if (context_->err == REDIS_ERR_IO && context_->errstr == kLate) {
    const double seconds = std::chrono::duration<double>(patience_).count();
    return Status(StatusCode::kUnavailable,
                  fmt::format("Redis: no answer within {:.3g} s", seconds));
  }
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

Result<RedisExecReply> RedisConnection::ReceiveExec() {
  RedisExecReply reply;
  redisReplyObjectFunctions functions = ExecFunctions();
  redisReader& reader = *context_->reader;
  redisReplyObjectFunctions* const usual = std::exchange(reader.fn, &functions);
  reader.privdata = &reply;
  void* made = nullptr;
  const int received = redisGetReply(context_.get(), &made);
  reader.fn = usual;
  reader.privdata = nullptr;
  if (received == REDIS_OK) return reply;
  // What it was about to make is not there for the usual functions to free.
  reader.reply = nullptr;
  return Lost();
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
