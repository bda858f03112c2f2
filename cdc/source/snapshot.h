// The beginning of a stream: publication, slot, and a copy of the tables as they
// were at the very LSN where the slot begins.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/event_log.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"

namespace indoubt::cdc_internal {

/// Makes sure that the publication exists and publishes exactly `tables`, and, for
/// a log that does not stream yet, makes the slot and copies the tables into the
/// log in chunks. An unfinished attempt is gone on with behind its last chunk, unless the
/// slot has lost changes or a table is another or was truncated: then its slot and chunks
/// are discarded, and it begins anew. No view has seen anything. The tables are locked while
/// they are copied (LockSourceTables). Each step may take `patience`. kNotFound for a table
/// that is not there, kRefused for a slot or publication that belongs to something else, or for
/// a table without a replica identity (its updates would fail at the source). Returns the
/// tables as the publication was held against them.
Result<PublishedTables> PrepareSource(const SlotOptions& options,
                                      const std::vector<std::string>& tables, EventLog& log,
                                      const StopSignal& stop, Duration patience);

/// What the source was at one LSN: the transactions that committed up to `lsn`, and no other.
struct ExportedSnapshot {
  Lsn lsn;
  std::string name;  // for SET TRANSACTION SNAPSHOT
};

/// Makes a temporary slot on `walsender`, for the snapshot that comes with it: there as long as
/// `walsender` does nothing else. The slot goes with the connection, some time after its end:
/// so its name is what of options.slot leaves room for them, and eight random digits. kLocked,
/// naming them, when transactions of the source are in the slot's way for longer than
/// options.lock_timeout.
Result<ExportedSnapshot> ExportSnapshot(PgConnection& walsender, const SlotOptions& options,
                                        const StopSignal& stop, TimePoint deadline);

}  // namespace indoubt::cdc_internal
