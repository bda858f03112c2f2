// The decision table's schema: looked at by every preflight of a last resource, and made
// by the first.
#pragma once

#include <string>

#include <pqxx/pqxx>

#include "participants/participant.h"

namespace indoubt::pg {

/// Makes what is missing of schema indoubt. Returns the table's identity (Gid::home), or ""
/// with the problem, and its remedy, in `report`. Throws as libpqxx does when the server
/// goes away.
std::string PrepareDecisionTable(pqxx::connection& connection, PreflightReport& report);

}  // namespace indoubt::pg
