// Reading a Redis and a SQLite view as of one LSN, although each moves on its own.
//
// SQLite can show an old state for as long as somebody looks at it, Redis cannot. So the cut
// looks at the SQLite view, at some position L, and asks the worker by a key in Redis not to
// take the Redis view beyond L; the worker stops there exactly, until the key goes:
//
//   indoubt:cdc:hold:<view>  =  "<random> <lsn> <ordinal>", for kHoldFor at most
#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/lsn.h"
#include "cdc/worker.h"

namespace indoubt {

/// Both views at one LSN, until it is destroyed. One at a time for a Redis view: others
/// wait. Keep it short: the Redis view stands still meanwhile. Thread-compatible.
class ConsistentCut {
 public:
  /// After so long the worker goes on, whoever has died; reads then fail with kAborted.
  static constexpr std::chrono::milliseconds kHoldFor{2000};

  /// Takes a cut at `at_least` (a write's token) or later. The views must be of one worker,
  /// which must run. kDeadlineExceeded says what was waited for; kUnavailable when a sink
  /// cannot be reached; kRefused when the views are of two event logs; kInvalidArgument
  /// when they are not one of each kind.
  static Result<std::unique_ptr<ConsistentCut>> Take(const ViewOptions& redis,
                                                     const ViewOptions& sqlite,
                                                     TimePoint deadline, Lsn at_least = {});
  ~ConsistentCut();

  /// What both views show: everything that was committed up to here, and nothing else.
  Lsn lsn() const;
  /// Runs commands that read, as one MULTI/EXEC; a reply each. kAborted when the hold has
  /// run out: nothing that was read counts, take a new cut.
  Result<std::vector<Value>> ReadRedis(const std::vector<RedisCommand>& commands);
  /// Runs one SELECT; a list of values for each row.
  Result<std::vector<std::vector<Value>>> ReadSqlite(const SqlStatement& select);

 private:
  class Impl;
  explicit ConsistentCut(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace indoubt
