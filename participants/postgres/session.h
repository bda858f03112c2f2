// What a session must look like, asked once for every new connection.
#pragma once

#include <string>

#include "participants/participant.h"

namespace indoubt::pg {

/// One query that switches the server's timeouts off for the session (ours follow the
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
