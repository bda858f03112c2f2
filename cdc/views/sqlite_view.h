// A SQLite file as a view: rows and position in one SQLite transaction, WAL and
// synchronous=FULL. The position is a row of indoubt_cdc_position in the same file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt {

/// Opens nothing yet. kInvalidArgument without a path or a derivation for SQLite.
Result<std::unique_ptr<View>> MakeSqliteView(const ViewOptions& options);

/// The position that the file holds for the view; empty when there is none, or no
/// file yet. Opens the file read-only.
Result<ViewPosition> ReadSqlitePosition(const ViewOptions& options);

/// What the view has set aside, looked at from outside of the worker.
Result<std::vector<ParkedEvent>> ReadSqliteParked(const ViewOptions& options);
/// Asks the view's worker, durably, to try it again; and whether it still is asked.
Status AskSqliteRetry(const ViewOptions& options);
Result<bool> SqliteRetryIsAsked(const ViewOptions& options);

}  // namespace indoubt
