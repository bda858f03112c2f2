// The embedded event log: one SQLite file in WAL mode, synchronous=FULL.
//
//   events(sequence INTEGER PRIMARY KEY, lsn, ordinal, crc, payload)  in the order of
//   (lsn, ordinal); a file of an older program also has a unique index on these two
//   log(one row: version, id, state, slot, complete)
//   former_ids(id)                     see EventLog::Restart
//   shapes, schemas: shapes of tables, see schema_history.h
//   staged, outcomes: transactions in two phases, see staged.h
//   beginning(one row): what was removed, see log_trim.h
//
// payload is a serialised events.Transaction, crc its CRC-32C.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdc/event_log.h"

namespace indoubt {

/// Opens the log in the file `path`, or makes it. One process at a time: kLocked
/// names the holder's pid. kCorrupt when the file is no event log that this version reads;
/// one of an older version that it does read becomes one of this.
Result<std::unique_ptr<EventLog>> OpenSqliteEventLog(const std::string& path);

/// What the stream said of transactions in two phases, in the stream's order.
struct StreamRecord {
  Lsn from;      // and nothing, any more, of what ended up to here; 0/0: it has all
  Lsn complete;  // the log has everything up to here
  std::vector<StreamOutcome> outcomes;
};

/// Reads it from the log in `path`, beside a worker or without one. kNotFound when there
/// is no log, kRefused when it is of a version that has no such record.
Result<StreamRecord> ReadStreamRecord(const std::string& path);

}  // namespace indoubt
