// What those who write the event log's file, follow it and audit it share. Private to this
// room.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "cdc/event_log.h"
#include "cdc/log/recent_events.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

// 2: staged transactions and outcomes. 1 is read and becomes 2: it has neither.
// 3: rows as the stream brings them, and transactions in parts.
// 4: something was removed. Of versions before, nothing is, and no table says so.
// 5: events name their shapes by number. A log of an older version becomes one of this; the
// events that it has stay as they are, with their shapes in them.
inline constexpr uint64_t kOldestEventLogVersion = 1;
inline constexpr uint64_t kWholeEventLogVersion = 3;
inline constexpr uint64_t kEventLogVersion = 5;

// What the appender knows and the readers wait for. Readers refer to the log's own and
// so must go before it; they learn the end without asking SQLite.
struct LogTail {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  LogEnd end;                 // guarded by mutex
  LogBegin begin;             // guarded by mutex; set before what is before it goes
  bool interrupted = false;   // guarded by mutex
  RecentEvents recent;        // of those before `end`
  mutable ShapeTable shapes;  // that events name; where others write the file, those known yet

  LogEnd Get() const {
    const std::lock_guard lock(mutex);
    return end;
  }
  LogBegin Begin() const {
    const std::lock_guard lock(mutex);
    return begin;
  }
  void SetBegin(const LogBegin& to) {
    const std::lock_guard lock(mutex);
    begin = to;
  }
};

/// The sequence of the last event at or before `position` in the log that `db` is open on, or
/// that of the last removed one. Events are numbered in the order of their positions, so that
/// no index is needed, which would cost as much as the events themselves to keep.
Result<uint64_t> SequenceAtOrBefore(SqliteDatabase& db, EventPosition position);

/// The last whole event of the log that `db` is open on, into `last` and `last_sequence`, which
/// stay as they are when there is none. A transaction's parts are nobody's yet.
Status ReadLastEvent(SqliteDatabase& db, LogEnd& end);

/// A reader over `db`, which was opened for reading; `tail` must outlive it.
std::unique_ptr<EventLogReader> MakeSqliteEventLogReader(std::unique_ptr<SqliteDatabase> db,
                                                         const LogTail& tail);

}  // namespace indoubt::cdc_internal
