// Where a Redis server is, from its URI.
#pragma once

#include <string>

#include "base/status.h"

namespace indoubt {

struct RedisAddress {
  std::string unix_path;           // empty: TCP
  std::string host = "127.0.0.1";  // an IPv6 address without its brackets
  int port = 6379;
  std::string user, password;  // empty: none
  int database = 0;

  /// For messages; without secrets.
  std::string Shown() const;
};

/// "redis://[[user:]password@]host[:port][/db]" or "unix:///path[?db=N]". An IPv6 address
/// stands in brackets. In user and password %40 and its like stand for a byte; a "/" must be
/// written so.
/// kInvalidArgument never shows the text.
Result<RedisAddress> ParseRedisUri(const std::string& uri);

}  // namespace indoubt
