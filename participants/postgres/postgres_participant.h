// PostgreSQL as a participant: PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK
// PREPARED, on a bounded pool of connections.
#pragma once

#include <memory>
#include <string>

#include "participants/participant.h"

namespace indoubt {

struct PostgresOptions {
  std::string name;          // the participant's
  std::string dsn;           // libpq connection string; never shown: it may hold a password
  int max_connections = 40;  // of the pool, at least 2
  /// Its commit carries the decision of transactions that have other participants, too
  /// (last_resource.h); at most one participant of a coordinator.
  bool last_resource = false;
};

/// Connects on first use; does not touch the server yet. kInvalidArgument for a
/// connection string that libpq cannot parse or a name that is none.
Result<std::unique_ptr<Participant>> MakePostgresParticipant(const PostgresOptions& options);

}  // namespace indoubt
