// The publication at the source: which tables' changes the slot's stream carries. Private to
// this room.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/pg_connection.h"

namespace indoubt::cdc_internal {

/// The tables that a publication is to have: by oid, and as CheckPublication names them.
using PublishedTables = std::map<uint32_t, std::string>;

/// Ok when the publication `name` publishes all changes of `tables`, whole, and of no others:
/// each is "schema.table", quoted where it has to be. kNotFound when there is none, kRefused
/// when it publishes something else, which the message names: other tables, some rows of one
/// (WHERE), or a list of its columns.
Status CheckPublication(PgConnection& connection, const std::string& name,
                        const std::set<std::string>& tables, TimePoint deadline);

/// Makes the publication unless it is there; otherwise as CheckPublication.
Status EnsurePublication(PgConnection& connection, const std::string& name,
                         const std::set<std::string>& tables, TimePoint deadline);

}  // namespace indoubt::cdc_internal
