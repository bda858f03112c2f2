// A libpq connection whose every wait is bounded and can be cut short. Private to
// this room.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "base/clock.h"
#include "base/status.h"
#include "participants/postgres/connection_string.h"

namespace indoubt::cdc_internal {

/// Told once, by any thread; cuts every wait of a PgConnection short.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  void Set();
  bool is_set() const { return set_.load(std::memory_order_acquire); }
  /// Readable once set.
  int fd() const { return fd_; }
  /// Sleeps until `deadline` or Set.
  void SleepUntil(TimePoint deadline) const;

 private:
  std::atomic<bool> set_{false};
  int fd_;
};

/// Rows of text; nullopt is NULL.
using PgRows = std::vector<std::vector<std::optional<std::string>>>;

/// What a catalog's column of a number or an oid has. kInternal for anything else.
Result<uint32_t> ParseCatalogNumber(const std::optional<std::string>& text);

/// Belongs to one thread.
class PgConnection {
 public:
  /// `replication`: a walsender of the same database, which also runs plain SQL. Values are
  /// written in one way whatever the session's defaults are: UTF-8, ISO dates in UTC. A
  /// query from which a row-level security policy would hide rows is refused (kRefused).
  /// kInvalidArgument for a DSN that cannot be parsed, kUnavailable when the server
  /// cannot be reached, kDeadlineExceeded when it has not answered by `deadline`.
  static Result<std::unique_ptr<PgConnection>> Connect(const std::string& dsn, bool replication,
                                                       const StopSignal& stop,
                                                       TimePoint deadline);

  /// Runs one command. Errors carry the server's words, without the DSN:
  /// kNotFound for an object that is not there, kLocked for one in use, kRefused
  /// for a missing privilege or setting, kUnavailable for a lost connection,
  /// kDeadlineExceeded (the connection is then of no more use).
  Result<PgRows> Query(const std::string& sql, TimePoint deadline);

  /// Starts a command that turns the connection into a two-way copy.
  Status StartCopy(const std::string& sql, TimePoint deadline);
  /// The next copy message; none when nothing has come by `deadline` (a past one:
  /// only what is here already), or while the descriptor `wake`, if there is one, is
  /// readable. Valid until the next call. kAborted when stopped.
  Result<std::optional<std::string_view>> ReadCopy(TimePoint deadline, int wake = -1);
  Status WriteCopy(std::string_view bytes, TimePoint deadline);

  /// `text` as an SQL literal or identifier, quotes included.
  std::string Literal(const std::string& text) const;
  std::string Identifier(const std::string& text) const;

 private:
  PgConnection(PGconn* connection, pg::ConnectionString where, const StopSignal& stop)
      : connection_(connection, PQfinish), where_(std::move(where)), stop_(stop) {}
  /// Waits until the socket can be read or, with `for_write`, written too. Sends nothing.
  /// kDeadlineExceeded, also when only the descriptor `wake` can be read, or kAborted when
  /// stopped.
  Status WaitSocket(bool for_write, TimePoint deadline, int wake = -1);
  Status Send(const std::string& sql, TimePoint deadline);
  Status Lost(std::string_view doing) const;
  Status ResultError(const PGresult* result, std::string_view doing) const;

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
  std::unique_ptr<char, void (*)(void*)> copied_{nullptr, PQfreemem};
  const pg::ConnectionString where_;
  const StopSignal& stop_;
};

}  // namespace indoubt::cdc_internal
