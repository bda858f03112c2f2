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

/// What is another one after the publication was altered, also when that was taken back: its
/// oid, its row's version, and the oid of each table's and schema's entry. By name of each.
using PublicationMarks = std::map<std::string, std::string>;
Result<PublicationMarks> ReadPublicationMarks(PgConnection& connection, const std::string& name,
                                              TimePoint deadline);

/// As they were when the log was begun.
inline PublicationMarks MarksOf(const events::SnapshotProgress& begun) {
  return {begun.publication_marks().begin(), begun.publication_marks().end()};
}

/// kRefused, with what was done to it, when `now` shows that the publication `name` was altered
/// since `before`; tables are named as in `tables`. What one of the two has and the other has
/// not is no alteration of this kind: a table may have been dropped, and the check above sees
/// one that is missing.
Status CheckPublicationMarks(const std::string& name, const PublicationMarks& before,
                             const PublicationMarks& now, const PublishedTables& tables);

/// Makes the publication unless it is there; otherwise as CheckPublication.
Status EnsurePublication(PgConnection& connection, const std::string& name,
                         const std::set<std::string>& tables, TimePoint deadline);

}  // namespace indoubt::cdc_internal
