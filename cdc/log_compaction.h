// Compaction of the event log by key: of the rows that have changed again, only the last state
// is kept (ADR 10). Private to this room.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cdc/derivation.h"
#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// Which changes of a stretch of the log, from its beginning, a replay of all of it can do
/// without. Changes are shown to it twice, in order: first all to Note, then to Needs. What
/// does not fit into memory goes to a temporary file. Belongs to one thread.
class SupersededChanges {
 public:
  static Result<std::unique_ptr<SupersededChanges>> Make();

  /// `order` grows with each change.
  Status Note(uint64_t order, const RowChange& change);
  /// Whether the end state of its rows depends on the change. Once it was called for some,
  /// those may be removed that it said no to, in their order, one after the other.
  Result<bool> Needs(uint64_t order, const RowChange& change);

 private:
  struct Table {
    std::string key_columns;
    bool kept = false;    // whole: its rows have no key of which there is one row only
    bool pinned = false;  // some of its keys are
    uint64_t truncated_at = 0;
  };
  struct Key {
    uint64_t settled_at = 0;  // by the last change that needs none before it
    bool gone = false;        // there is no such row afterwards
    bool pinned = false;      // all its changes are needed, see Pin
  };

  explicit SupersededChanges(std::unique_ptr<SqliteDatabase> db) : db_(std::move(db)) {}
  Status NoteUpdate(uint64_t order, const RowChange& change, Table& table);
  Status Settle(uint64_t order, const std::optional<std::string>& key, bool gone, Table& table);
  /// A row went on under another key without all of its values: what made it is needed.
  Status Pin(const std::optional<std::string>& key, Table& table);
  Result<Key> Find(const std::string& key);
  Result<bool> NeedsKey(uint64_t order, const std::optional<std::string>& key,
                        const Table& table);

  std::unique_ptr<SqliteDatabase> db_;
  std::map<uint32_t, Table> tables_;  // by oid
};

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
