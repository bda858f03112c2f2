// What a view's worker does not go beyond, found without asking the worker: the log, the view's
// position and its rules tell. Private to this room.
#pragma once

#include <string>

#include "base/status.h"
#include "cdc/log/log_glance.h"
#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

/// Whether a view that is at `at` may go on from the log `log_id`, which has everything after
/// `from` up to `complete`. kRefused when it was derived from another log or needs what is
/// gone, kCorrupt when it is beyond this log.
Status CheckPosition(const ViewPosition& at, const std::string& log_id, EventPosition from,
                     Lsn complete);

/// Ok, or why a worker stops the view at `at`, in its own words: as CheckPosition, and
/// kUnsupported when the shape of the next event is one that the view may not follow. `glance`
/// is of the log at `log_path`, and not older than `at`.
Status WhyStopped(const std::string& log_path, LogGlance& glance, const ViewOptions& view,
                  const ViewPosition& at);

}  // namespace indoubt::cdc_internal
