// A table of the source as the snapshot needs it. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/pg_connection.h"
#include "proto/events.pb.h"

namespace indoubt::cdc_internal {

/// What the server says of `table` ("orders" or "shop.orders"): names, the shape that
/// pgoutput would send, its filenode, and the order in which it can be copied so that the
/// copy can go on later: its key's, unless that is the whole row. kNotFound when it is not
/// there, kRefused when it is no ordinary table or has no replica identity.
Result<events::SnapshotProgress::Table> ReadSourceTable(PgConnection& connection,
                                                        const std::string& table,
                                                        TimePoint deadline);

/// Locks `tables` against changes of their shape and files until the transaction that is open
/// on `connection` ends, and reads them. It has its snapshot, and to that a table is empty that
/// was rewritten since (ALTER TABLE, TRUNCATE): kAborted names it, and a new snapshot helps.
/// kLocked, with whom it waits for, when one lock takes longer than `lock_timeout`; that ends
/// the transaction. Else as ReadSourceTable.
Result<std::vector<events::SnapshotProgress::Table>> LockSourceTables(
    PgConnection& connection, const std::vector<std::string>& tables, Duration lock_timeout,
    TimePoint deadline);

/// "(a, b)" of the columns in that order, and the same of the values `key`, as SQL.
std::string KeyColumns(const PgConnection& connection,
                       const events::SnapshotProgress::Table& table);
std::string KeyValues(const PgConnection& connection,
                      const events::SnapshotProgress::Table& table,
                      const google::protobuf::RepeatedPtrField<std::string>& key);

/// A part of a table's copy, as an event has it: `rows` of `shape`, inserted.
events::Transaction SnapshotChunk(const events::Relation& shape, const PgRows& rows);

}  // namespace indoubt::cdc_internal
