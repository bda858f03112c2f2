#include "participants/redis/redis_connection.h"

#include <map>

#include <fmt/format.h>
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

std::string Text(const redisReply& reply) {
  return reply.str == nullptr ? std::string() : std::string(reply.str, reply.len);
}

std::string InfoField(const std::string& info, const std::string& name) {
  const size_t at = info.find(name + ":");
  if (at == std::string::npos) return "";
  const size_t from = at + name.size() + 1;
  return info.substr(from, info.find('\r', from) - from);
}

}  // namespace

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
  redisSetTimeout(context, limit);
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

Result<PreflightReport> RedisConnection::Inspect() {
  INDOUBT_ASSIGN_OR_RETURN(const RedisReply info_reply, SendOne({"INFO", "everything"}));
  const std::string info = Text(*info_reply);
  PreflightReport report;
  report.version = "Redis " + InfoField(info, "redis_version");
  if (std::atoi(InfoField(info, "redis_version").c_str()) < 7) {
    report.problems.push_back(report.version +
                              " has no functions; version 7.0 or later is needed");
    return report;
  }
  std::map<std::string, std::string> settings;
  for (const char* name :
       {"appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory-policy"}) {
    INDOUBT_ASSIGN_OR_RETURN(const RedisReply reply, SendOne({"CONFIG", "GET", name}));
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
      settings[name] = Text(*reply->element[1]);
    } else {
      report.problems.push_back(fmt::format(
          "CONFIG GET {} is not answered; let this user run it (ACL +config|get)", name));
    }
  }
  const auto require = [&](const char* name, const std::string& value, const char* why) {
    if (settings.contains(name) && settings[name] != value) {
      report.problems.push_back(fmt::format("{} is {}: {}; CONFIG SET {} {}", name,
                                            settings[name], why, name, value));
    }
  };
  require("appendonly", "yes", "a yes vote would not survive a crash");
  require("appendfsync", "always", "a yes vote could be lost with the last second");
  require("no-appendfsync-on-rewrite", "no", "a yes vote during a rewrite would not be synced");
  if (settings.contains("maxmemory-policy") && settings["maxmemory-policy"] != "noeviction") {
    require("maxmemory-policy", "noeviction", "prepared branches and locks could be evicted");
  }
  if (InfoField(info, "role") != "master") {
    report.problems.push_back("this server is a replica; connect to the master");
  }
  if (InfoField(info, "cluster_enabled") == "1") {
    report.problems.push_back("cluster mode is not supported; use a server without it");
  }
  return report;
}

}  // namespace indoubt
