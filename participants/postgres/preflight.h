// Can this server keep the promise of a yes vote? Asked over libpqxx, on a
// connection of its own.
#pragma once

#include <string>

#include "participants/postgres/connection.h"

namespace indoubt::pg {

/// Blocks until `deadline`; libpq gives no attempt to connect less than 2 s, so that a
/// host that does not answer may take that long. `max_connections` is the pool's bound.
/// For a last resource, `home` takes the identity of its decision table, which is made
/// where it is missing; null otherwise.
Result<PreflightReport> Preflight(const ConnectionString& where, int max_connections,
                                  TimePoint deadline, std::string* home);

}  // namespace indoubt::pg
