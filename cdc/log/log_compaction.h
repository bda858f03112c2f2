// Compaction of the event log by key: of the rows that have changed again, only the last state
// is kept (ADR 10). Private to this room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdc/event_log.h"
#include "cdc/log/superseded_changes.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// An event as compaction leaves it.
struct CompactedEvent {
  uint64_t sequence = 0;
  std::optional<std::string> payload;  // none: nothing of it is left
};

/// One pass over the log's file. Belongs to one thread; there may be one at a time.
class LogCompaction {
 public:
  /// `to`: the last event of the stretch, `sequence` its number. `shapes`, the log's, must
  /// outlive it.
  static Result<std::unique_ptr<LogCompaction>> Begin(const std::string& path,
                                                      const ShapeTable& shapes,
                                                      EventPosition to, uint64_t sequence);
  EventPosition to() const { return to_; }
  uint64_t to_sequence() const { return to_sequence_; }
  /// Events that the pass has left whole or in part.
  uint64_t kept() const { return kept_; }

  /// Surveys some more of the stretch; false once all of it was.
  Result<bool> Survey();
  /// After that: the next events that change, in order; none at the end.
  Result<std::optional<std::vector<CompactedEvent>>> Next();

 private:
  LogCompaction(const ShapeTable& shapes, EventPosition to, uint64_t sequence)
      : shapes_(shapes), to_(to), to_sequence_(sequence) {}
  /// Some events after `after`, which moves.
  Result<std::vector<LoggedEvent>> Read(uint64_t& after);
  Result<std::optional<CompactedEvent>> Compact(LoggedEvent event);

  const ShapeTable& shapes_;
  const EventPosition to_;
  const uint64_t to_sequence_;
  std::unique_ptr<SqliteDatabase> db_;
  std::unique_ptr<SupersededChanges> superseded_;
  uint64_t surveyed_ = 0, compacted_ = 0;  // sequences
  uint64_t kept_ = 0;
  bool part_before_ = false;  // a part is kept whose transaction goes on
};

/// The last event, and its `sequence`, of the stretch that a pass is worth its while for: one
/// at or before `up_to` and before the log's `last`, if as much is new before it as the last
/// pass left.
Result<std::optional<EventPosition>> WorthCompacting(SqliteDatabase& db, EventPosition up_to,
                                                     uint64_t last, uint64_t& sequence);

/// Stores what Next gave, durably, all or nothing; the log then says that it is compacted.
Status WriteCompacted(SqliteDatabase& db, const std::vector<CompactedEvent>& events,
                      const LogCompaction& pass);

}  // namespace indoubt::cdc_internal
