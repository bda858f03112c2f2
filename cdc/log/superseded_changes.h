// Which changes a later one has made superfluous: what compaction by key removes (ADR 10).
// Private to this room.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "cdc/derivation.h"
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

}  // namespace indoubt::cdc_internal
