// What a session must look like: asked once for every new connection, and made so again
// after every branch.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "participants/postgres/connection.h"

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

/// What takes back whatever a branch has left in a session, functions and triggers included:
/// settings, the role, locks, sequences, and what only a commit leaves (a prepare refuses it, a
/// rollback drops it): cursors, temporary tables, LISTEN. DISCARD ALL would, but for our kept
/// statements. What no command of the server takes back stays: the memory of procedural
/// languages and extensions, setseed.
struct Cleaning {
  bool checks_connection = false;  // the server knows client_connection_check_interval
  bool committed = false;          // there was a COMMIT
  /// Looks for statements that a function prepared; costs more than all the rest.
  bool look_for_statements = false;
};
/// To be run outside a transaction block.
std::vector<Command> CleaningCommands(const Cleaning& cleaning);

/// Why the session must not be used again; empty when `reply`, to CleaningCommands, says that
/// it is clean.
std::string WhyNotClean(const ScriptReply& reply);

/// Whether the session that showed `looked` (SessionQuery) may be told to look whether its
/// client is still there.
bool ChecksConnection(const StatementResult& looked);

/// The single problems of these settings, as the server shows them; one that does not
/// matter may be "".
std::vector<std::string> SettingProblems(const std::string& fsync,
                                         const std::string& synchronous_commit,
                                         const std::string& max_prepared_transactions,
                                         bool in_recovery, int64_t version_number);

}  // namespace indoubt::pg
