// indoubt doctor --repair: a SQLite file whose tables, triggers or locks of ours are not
// as they must be, made whole again.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt {

/// In one durable transaction: installs what is missing or was changed, drops locks whose
/// branch is gone, locks again what a branch in doubt has lost, and, when nothing is in
/// doubt, drops triggers on tables that are not managed any more. When the configured
/// tables cannot be managed, all triggers count as those. Never decides or drops a branch.
/// Returns a line for each thing done or found, none when all was well. Waits for other
/// writers until `deadline`. kUnavailable when the file cannot be opened or written, or has
/// none of the configured tables and none of ours, kRefused when another version's branches
/// are in it; then nothing was changed.
Result<std::vector<std::string>> RepairSqliteFile(const SqliteOptions& options,
                                                  TimePoint deadline);

}  // namespace indoubt
