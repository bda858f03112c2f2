// What a session must look like, asked once for every new connection.
#pragma once

#include <chrono>
#include <string>

#include "participants/participant.h"

namespace indoubt::pg {

/// How long one wait for a lock may take when nobody is there any more to end it at the
/// transaction's deadline (a machine that vanished). A branch with a later one says so.
inline constexpr std::chrono::minutes kSessionLockLimit{5};

/// One query that takes the server's timeouts out of the session (ours follow the
/// transaction's deadline) and shows the settings that a yes vote stands on.
std::string SessionQuery();

/// Why a branch must not vote yes in the session that gave `result`; empty when it
/// may. Names the setting and the remedy. Not `prepares`: nothing is ever prepared here.
std::string SessionProblem(const StatementResult& result, bool prepares);

/// The single problems of these settings, as the server shows them; one that does not
/// matter may be "".
std::vector<std::string> SettingProblems(const std::string& fsync,
                                         const std::string& synchronous_commit,
                                         const std::string& max_prepared_transactions,
                                         bool in_recovery, int64_t version_number);

}  // namespace indoubt::pg
