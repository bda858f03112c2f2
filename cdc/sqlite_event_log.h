// The embedded event log: one SQLite file in WAL mode, synchronous=FULL.
//
//   events(sequence INTEGER PRIMARY KEY, lsn, ordinal, crc, payload)  UNIQUE(lsn, ordinal)
//   log(one row: version, id, state, slot, complete)
//
// payload is a serialised events.Transaction, crc its CRC-32C.
#pragma once

#include <memory>
#include <string>

#include "cdc/event_log.h"

namespace indoubt {

/// Opens the log in the file `path`, or makes it. One process at a time: kLocked
/// names the holder's pid. kCorrupt when the file is no event log of this version.
Result<std::unique_ptr<EventLog>> OpenSqliteEventLog(const std::string& path);

}  // namespace indoubt
