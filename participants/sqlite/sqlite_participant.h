// SQLite as a participant. SQLite has no XA: the rows that work changes are captured by
// the pre-update hook (docs/adr/0002), undone, and stored with their locks in one durable
// SQLite transaction; triggers on the managed tables hold every other writer off until
// the decision.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "participants/participant.h"

namespace indoubt {

struct SqliteOptions {
  std::string name;                 // the participant's
  std::string path;                 // of the database file; it must exist
  std::vector<std::string> tables;  // that transactions may change; at least one
};

/// Opens nothing yet. kInvalidArgument for an empty path or table list.
Result<std::unique_ptr<Participant>> MakeSqliteParticipant(const SqliteOptions& options);

}  // namespace indoubt
