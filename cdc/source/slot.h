// The logical slot at the source: what is asked of it before anybody streams. Private to this
// room.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/pg_connection.h"

namespace indoubt::cdc_internal {

struct SlotOptions {
  std::string dsn;
  std::string slot;
  std::string publication;
  /// How long the making of a slot may wait for one transaction of the source.
  Duration lock_timeout = std::chrono::seconds(30);
};

/// What the server says of a slot at one moment.
struct SlotFacts {
  std::string name;
  bool exists = false;  // if not, of the rest only source_end is known
  std::string plugin;   // empty for a physical slot
  bool of_this_database = false;
  bool invalidated = false;  // the server has removed what it would have to send
  bool followed = false;     // a walsender reads it
  bool two_phase = false;    // it decodes prepared transactions
  Lsn confirmed;             // nothing before it will be sent
  Lsn source_end;            // the server's own end, flushed
};

Result<SlotFacts> ReadSlot(PgConnection& connection, const std::string& name,
                           TimePoint deadline);

/// Whether the slot can go on after `from`, up to where a log has everything: kNotFound when it
/// is gone, kCorrupt when it was invalidated, or confirmed beyond `from` (each names the gap),
/// kRefused when it is another kind of slot. While a worker moves both, `slot` has to be read
/// before `from` is.
Status CheckSlot(const SlotFacts& slot, Lsn from);

/// Reads it over a connection of its own, and checks it.
Status CheckSlot(const SlotOptions& options, Lsn from, const StopSignal& stop,
                 TimePoint deadline);

/// kRefused when the slot is there while the event log is empty, and so belongs to another.
Status CheckNoSlot(const SlotFacts& slot);

/// kRefused when a log that was begun with the slot `begun` is to go on with `name`.
Status CheckLogsSlot(const std::string& begun, const std::string& name);

/// Whether `checked`, of CheckSlot, means that changes are missing.
bool ANewSnapshotHelps(const Status& checked);

/// Whether `status`, of CheckSlot or of a stream, means that the slot can never go on.
bool SlotIsLost(const Status& status);

}  // namespace indoubt::cdc_internal
