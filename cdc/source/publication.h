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
#include "proto/events.pb.h"

namespace indoubt::cdc_internal {

/// The tables that a publication is to have: by oid, and as CheckPublication names them.
using PublishedTables = std::map<uint32_t, std::string>;

/// Ok when the publication `name` publishes all changes of `tables`, whole, and of no others:
/// each is "schema.table", quoted where it has to be. kNotFound when there is none, kRefused
/// when it publishes something else, which the message names: other tables, some rows of one
/// (WHERE), or a list of its columns.
Status CheckPublication(PgConnection& connection, const std::string& name,
                        const std::set<std::string>& tables, TimePoint deadline);

/// What the catalog says of the publication `name` now. kNotFound when there is none.
Result<events::PublicationMarks> ReadPublicationMarks(PgConnection& connection,
                                                      const std::string& name,
                                                      TimePoint deadline);

/// kRefused, with what was done to it and what to do, when `now` shows that the publication
/// `name` was altered since `before`, which may have been taken back since. `tables`: those
/// that are there now. An entry of a table that is not is no alteration: it went with the
/// table.
Status CheckPublicationMarks(const std::string& name, const events::PublicationMarks& before,
                             const events::PublicationMarks& now,
                             const PublishedTables& tables);

/// Those of `tables` that are there, as they are called now, and those made anew under their
/// names.
Result<PublishedTables> PresentTables(PgConnection& connection, const PublishedTables& tables,
                                      TimePoint deadline);

/// Of a log that streams, by the marks of when it was begun: kRefused when the publication is
/// gone, or was altered since.
Status CheckLogsPublication(PgConnection& connection, const std::string& name,
                            const events::PublicationMarks& before, TimePoint deadline);

/// kRefused: the publication `name` of a log that streams is gone, and is not to be made anew.
Status LogsPublicationIsGone(const std::string& name);

/// Makes the publication unless it is there; otherwise as CheckPublication.
Status EnsurePublication(PgConnection& connection, const std::string& name,
                         const std::set<std::string>& tables, TimePoint deadline);

}  // namespace indoubt::cdc_internal
