// The beginning of a view that comes when the log's own is gone. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "cdc/event_log.h"
#include "cdc/source/slot.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {

/// Whether a view at `at` of `log` has to begin with a copy: it is new, and the log has no
/// beginning any more, or an earlier copy was not finished.
bool NeedsCopy(const ViewPosition& at, const EventLog& log);

/// Derives `view`, which is open and empty, from the source's tables as of one LSN, in
/// chunks, and leaves it there, where the log goes on. Until then its position is 0/0 with the
/// number of chunks, which no token reaches; a copy that is cut short begins anew. `slot` names
/// a temporary one of its own. kLocked when transactions of the source are in its way,
/// kAborted at `stop`. Each wait lasts `patience` at most.
Result<ViewPosition> CopyTables(View& view, const SlotOptions& slot,
                                const std::vector<std::string>& tables, const EventLog& log,
                                const StopSignal& stop, Duration patience);

}  // namespace indoubt::cdc_internal
