// Whether a SQLite file can keep the promise of a yes vote.
#pragma once

#include "participants/sqlite/sqlite_participant.h"

namespace indoubt::sqlite {

/// As Participant::Preflight. Installs or renews our tables and triggers.
Result<PreflightReport> CheckFile(const SqliteOptions& options, TimePoint deadline);

/// As Participant::ListPrepared.
Result<std::vector<PreparedBranch>> ListBranches(const SqliteOptions& options,
                                                 TimePoint deadline);

/// As Participant::ListOutcomes, `most` at most.
Result<std::vector<Gid>> ListOutcomes(const SqliteOptions& options, std::string_view node,
                                      size_t most, TimePoint deadline);

}  // namespace indoubt::sqlite
