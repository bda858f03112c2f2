// A blocking hiredis connection with an owner, bounded waits and Status. Private to
// this room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <signal.h>

#include "base/clock.h"
#include "base/status.h"

struct redisContext;
struct redisReply;

namespace indoubt::cdc_internal {

/// While it lives, this thread gets an error and not SIGPIPE for writing to a server
/// that has gone: hiredis does not see to that. Hold one around a RedisConnection.
class SigpipeBlocked {
 public:
  SigpipeBlocked();
  ~SigpipeBlocked();
  SigpipeBlocked(const SigpipeBlocked&) = delete;
  SigpipeBlocked& operator=(const SigpipeBlocked&) = delete;

 private:
  sigset_t before_;
};

using RedisReplyPtr = std::unique_ptr<redisReply, void (*)(redisReply*)>;

/// What an EXEC was answered. Of the commands' own replies it holds the first error alone:
/// there may be millions of them, each an object of 64 bytes to hiredis.
struct RedisExecReply {
  /// Whether the commands ran. If not, `refused` is the error in the place of their replies;
  /// without one a watched key had changed.
  bool done = false;
  std::string refused;
  /// The first command that failed, counted from 0; the others ran all the same.
  std::optional<size_t> failed;
  std::string failed_reason;
};

/// Belongs to one thread.
class RedisConnection {
 public:
  /// Connects, authenticates and selects the database; `uri` as ParseRedisUri takes it.
  /// kUnavailable when the server cannot be reached within two seconds, or has not answered
  /// within `patience`, as later with each answer.
  static Result<std::unique_ptr<RedisConnection>> Connect(const std::string& uri,
                                                          Duration patience = kPatience);
  static constexpr std::chrono::seconds kPatience{5};

  /// Queues one command; nothing is sent before Receive.
  Status Append(const std::vector<std::string>& command);
  /// The next queued command's reply, which may be an error reply. kUnavailable
  /// when the connection was lost: what was sent may or may not have happened.
  Result<RedisReplyPtr> Receive();
  /// As Receive, when the next queued command is an EXEC.
  Result<RedisExecReply> ReceiveExec();
  /// Append and Receive; an error reply is an error too.
  Result<RedisReplyPtr> Ask(const std::vector<std::string>& command);

 private:
  RedisConnection(redisContext* context, Duration patience);
  Status Lost() const;
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
  const Duration patience_;
};

}  // namespace indoubt::cdc_internal
