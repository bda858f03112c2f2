// One connection to a Redis server that has indoubt's function library, blocking,
// with many commands in one round trip.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "participants/participant.h"
#include "participants/redis/redis_uri.h"

namespace indoubt {

using RedisReply = std::unique_ptr<redisReply, void (*)(redisReply*)>;
using RedisArguments = std::vector<std::string>;

/// Belongs to one thread at a time.
class RedisConnection {
 public:
  /// Connects, authenticates, selects the database. `timeout` is also the silence allowed.
  /// kUnavailable, without secrets.
  static Result<std::unique_ptr<RedisConnection>> Connect(const RedisAddress& address,
                                                          Duration timeout);

  /// For how long the server may send nothing (or take nothing) from now on before the
  /// connection counts as broken; at least 1 ms. kUnavailable when the socket refuses it.
  Status AllowSilence(Duration silence);

  /// Sends all, then reads all. A reply may be an error of the server's own; kUnavailable
  /// when the connection broke: then the commands may or may not have run, and this
  /// connection is of no more use.
  Result<std::vector<RedisReply>> Send(const std::vector<RedisArguments>& commands);
  Result<RedisReply> SendOne(const RedisArguments& command);

  /// Loads the library unless the server has this version of it.
  Status EnsureLibrary();

  /// Whether the server has closed it, as far as can be told without asking. Only
  /// between two Sends.
  bool LooksClosed() const;

 private:
  RedisConnection(redisContext* context, std::string shown)
      : context_(context, redisFree), shown_(std::move(shown)) {}
  Status Broken() const;
  Status Lost(std::string_view why) const;
  Status Write(std::string_view bytes);
  Result<RedisReply> Read();

  Duration silence_{};  // what the socket was told
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
  const std::string shown_;
};

/// The bytes of a string, status or error reply; empty for any other.
std::string Text(const redisReply& reply);

/// Whether an error reply says that a function is missing (FUNCTION FLUSH, a restart).
bool IsMissingFunction(const redisReply& reply);

}  // namespace indoubt
