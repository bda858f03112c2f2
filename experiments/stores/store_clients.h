// Plain blocking clients of the three stores, for whatever looks at them from
// outside: set-up, comparison, observer, and the dual-write client. They know
// nothing of transactions across stores.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "participants/participant.h"

struct pg_cancel;
struct pg_conn;
struct redisContext;
struct redisReply;
struct sqlite3;

namespace indoubt {

/// One cell of a result; none is SQL's NULL or Redis' nil.
using Cell = std::optional<std::string>;
using Row = std::vector<Cell>;

/// A value as the stores' text form ("7", "abc"); none for null.
Cell TextOf(const Value& value);

/// One PostgreSQL connection. Thread-compatible, but Cancel from any thread.
class PostgresClient {
 public:
  /// kUnavailable when the server does not answer within `timeout` (whole seconds, at
  /// least 2, as libpq has it; a connect_timeout in the DSN wins).
  static Result<std::unique_ptr<PostgresClient>> Connect(
      const std::string& dsn, std::chrono::seconds timeout = std::chrono::seconds(10));

  /// Connects anew when the connection is known to be broken; call it between transactions.
  /// kUnavailable when that does not work.
  Status Revive();

  /// One statement with text parameters; its rows. kUnavailable when the
  /// connection broke, kAborted when the server refused the statement.
  Result<std::vector<Row>> Query(const std::string& sql, const std::vector<Cell>& params = {});
  /// Several statements without parameters or results.
  Status Run(const std::string& sql);
  /// Asks the server to cancel what runs on this connection.
  void Cancel();

 private:
  explicit PostgresClient(pg_conn* connection);
  std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_;
  std::string dsn_;
  std::mutex cancel_mutex_;
  // Made at connect: PQgetCancel reads the connection, which another thread may be in.
  // Guarded by cancel_mutex_.
  std::unique_ptr<pg_cancel, void (*)(pg_cancel*)> cancel_;
};

/// One Redis connection. Thread-compatible.
class RedisClient {
 public:
  using Reply = std::unique_ptr<redisReply, void (*)(redisReply*)>;

  /// `uri` as in redis_participant.h. Calls give up after `timeout`.
  static Result<std::unique_ptr<RedisClient>> Connect(
      const std::string& uri, Duration timeout = std::chrono::seconds(10));

  /// Connects anew when the connection is known to be broken. kUnavailable when that does
  /// not work.
  Status Revive();

  /// One command. An error reply is kAborted.
  Result<Reply> Run(const std::vector<std::string>& arguments);
  /// Many commands in one round trip; replies in order, error replies included.
  Result<std::vector<Reply>> RunAll(const std::vector<std::vector<std::string>>& commands);
  /// Every key that matches `pattern`, by SCAN.
  Result<std::vector<std::string>> Keys(const std::string& pattern);
  /// GET of each key, in batches.
  Result<std::vector<Cell>> Get(const std::vector<std::string>& keys);

 private:
  explicit RedisClient(redisContext* context);
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
  std::string uri_;
  Duration timeout_{};
};

/// One SQLite connection. Thread-compatible.
class SqliteClient {
 public:
  /// Opens, and makes if asked, the file; `busy` is how long a locked file is waited for.
  static Result<std::unique_ptr<SqliteClient>> Open(const std::string& path, bool create,
                                                    Duration busy);

  Result<std::vector<Row>> Query(const std::string& sql, const std::vector<Cell>& params = {});
  Status Run(const std::string& sql);
  /// The extended result code of the last call (https://sqlite.org/rescode.html).
  int last_code() const { return last_code_; }

 private:
  explicit SqliteClient(sqlite3* database);
  std::unique_ptr<sqlite3, int (*)(sqlite3*)> database_;
  int last_code_ = 0;
};

/// Splits a redis-cli line (blanks, single and double quotes) into arguments and
/// puts `params` in place of $1, $2. kInvalidArgument for an open quote.
Result<std::vector<std::string>> SplitRedisStatement(const Statement& statement);

}  // namespace indoubt
