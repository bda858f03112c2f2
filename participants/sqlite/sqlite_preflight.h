// Whether a SQLite file can keep the promise of a yes vote.
#pragma once

#include "participants/sqlite/sqlite_participant.h"

namespace indoubt::sqlite {

/// As Participant::Preflight. Installs or renews our tables and triggers.
Result<PreflightReport> CheckFile(const SqliteOptions& options, TimePoint deadline);

/// As Participant::ListPrepared.
Result<std::vector<PreparedBranch>> ListBranches(const SqliteOptions& options,
                                                 TimePoint deadline);

}  // namespace indoubt::sqlite
