// Can this server keep the promise of a yes vote? Asked over libpqxx, on a
// connection of its own.
#pragma once

#include "participants/postgres/connection.h"

namespace indoubt::pg {

/// Blocks until `deadline`. `max_connections` is the pool's bound.
Result<PreflightReport> Preflight(const ConnectionString& where, int max_connections,
                                  TimePoint deadline);

}  // namespace indoubt::pg
