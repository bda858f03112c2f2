// A view derived anew beside the old one, proved equal to the source at one LSN, and put in
// its place at once.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/worker.h"

namespace indoubt {

struct RebuildReport {
  /// Whether it began from a copy of the tables and not from the log's beginning, because the
  /// event log holds several shapes of a table, or what the derivation refuses, has no
  /// beginning any more, or is compacted and the derivation does not upsert.
  bool from_snapshot = false;
  Lsn proved_at;         // the one LSN at which both sides were compared
  uint64_t rows = 0;     // of the source's tables at that LSN
  uint64_t entries = 0;  // rows (SQLite) or keys (Redis) of the view that were compared
  /// Of a view that holds each row under its key: rows that are no entry of their own, because
  /// they are equal to another one in all values (REPLICA IDENTITY FULL), or all NULL in Redis.
  uint64_t merged = 0;
  /// The first that differ, for a person, and then nothing was swapped. Empty: equal.
  std::vector<std::string> differing;
  EventPosition swapped_at;  // what the new version showed when it took the old one's place
};

/// Derives the view `name` of `options` anew. A worker may run beside it (it is needed for the
/// end of the log); when none does, one is started for as long as this takes. Readers see the
/// old version, and from one moment on the new one. Ended by an error, or killed, at any
/// moment, the view is what it was, or the new version; what a killed one leaves beside it,
/// the next rebuild of it removes. `patience` is for each wait (for the source's running
/// transactions, for the log to reach an LSN, for another's hold). kInvalidArgument for a name
/// that is none of the views', kNotFound when there is no event log yet, kUnavailable while its
/// first snapshot is not complete, or when source or sink cannot be reached, kLocked while
/// another rebuild of the view runs or transactions of the source are in the way of its
/// snapshot, kUnsupported where the derivation does not say which Redis keys are its own or
/// Redis has no database to spare, kDeadlineExceeded, kAborted when the event log was begun
/// anew meanwhile. Blocks; may be called from any thread.
Result<RebuildReport> RebuildView(const CdcOptions& options, const std::string& name,
                                  Duration patience);

}  // namespace indoubt
