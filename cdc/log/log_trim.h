// The removal of the event log's oldest events from its file. Private to this room.
//
//   beginning(one row: removed_sequence, removed_lsn, removed_ordinal, compacted_sequence,
//             compacted_lsn, compacted_ordinal, compacted_left)  see LogBegin; compacted_left:
//             how many events the last compaction left
#pragma once

#include <optional>

#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// The table, made if absent, with its row.
extern const char kBeginningSchema[];
/// Sets it to that of a log of which nothing is removed.
extern const char kBeginningReset[];

Result<LogBegin> ReadLogBegin(SqliteDatabase& db);

/// What the log's file takes, its journal and what it has free left out.
Result<uint64_t> UsedBytes(SqliteDatabase& db);

/// When the source committed the event, in microseconds since 2000-01-01 UTC; 0 when its
/// payload does not say. Reads no more than the payload's head.
int64_t CommitMicrosOf(std::string_view payload);

/// What one step of a removal takes.
struct RemovalStep {
  LogBegin to;
  bool more = false;  // may follow on it
};

/// The next step of `removal`, which stays below the sequence `last`; none when nothing may go.
Result<std::optional<RemovalStep>> NextRemoval(SqliteDatabase& db, const Removal& removal,
                                               uint64_t last);
/// Takes it, durably, all or nothing: events and outcomes up to there go.
Status Remove(SqliteDatabase& db, const LogBegin& to);

/// See EventLog::GiveSpaceBack.
Result<bool> ShrinkFile(SqliteDatabase& db);

}  // namespace indoubt::cdc_internal
