// Whether the source still is the server, with the history, that the event log was filled from.
// A source that was put back to an older state and has written on since has an end beyond the
// log's, and a slot that looks well; what it wrote at the LSNs that the log has passed is
// another thing, and would be skipped. Private to this room.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/event_log.h"
#include "cdc/log/log_glance.h"
#include "cdc/pg_connection.h"
#include "cdc/source/slot.h"

namespace indoubt::cdc_internal {

/// What of an event log is held against its source.
struct LogHistory {
  events::SourceMarks source;  // as they were kept last; empty: not known
  EventPosition last;          // its last event's,
  int64_t last_micros = 0;     // and when the source committed that
  Lsn complete;                // see LogEnd
  /// Whether a transaction in two phases ended at this LSN.
  std::function<Result<bool>(Lsn)> has_outcome;
};

/// The source's as it is now; its timeline is 0 on a standby.
Result<events::SourceMarks> ReadSourceMarks(PgConnection& connection, TimePoint deadline);

/// kRefused when `now` is another server than `before`, kCorrupt when it has left the timeline
/// of `before` at an LSN that the log, which is complete up to `complete`, has passed. What was
/// not known before is right.
Status CheckSourceMarks(const SlotOptions& options, const events::SourceMarks& before,
                        const events::SourceMarks& now, Lsn complete, const StopSignal& stop,
                        TimePoint deadline);

/// As CheckSourceMarks; and kCorrupt when the source, if it was started since anybody looked,
/// holds something else than the log between what `slot`, which CheckSlot has taken, was last
/// told and the log's end. On the same timeline that alone tells a restored copy of the
/// server's files. kLocked when somebody reads the slot, so that nobody could look. Returns the
/// source's marks.
Result<events::SourceMarks> CheckHistory(const SlotOptions& options, const SlotFacts& slot,
                                         const LogHistory& log, const StopSignal& stop,
                                         TimePoint deadline);

/// Of a log that streams, whose appender is the caller: CheckSlot, then CheckHistory, and keeps
/// the source's marks in the log. kLocked, and nothing is kept, while somebody else reads the
/// slot: who would follow it asks again first.
Status CheckSource(const SlotOptions& options, EventLog& log, const StopSignal& stop,
                   TimePoint deadline);

/// As CheckHistory, of a log that streams, looked at from outside of its worker. Ok, too, when
/// nobody could look within half of the time to `deadline`.
Status CheckLogsHistory(const SlotOptions& options, const SlotFacts& slot, LogGlance& log,
                        TimePoint deadline);

}  // namespace indoubt::cdc_internal
