// Puts the source's new rows into SQLite tables of the same columns, straight from what the
// stream brought: the shortest way that a row can take. Private to this room.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// Belongs to one thread, and must go, or Forget, before its database does.
class RowMirror {
 public:
  /// Whether all of `event` are new rows that it carries whole: then Put takes it.
  static bool Takes(const events::Transaction& event);

  /// Puts the rows of an event that it takes. `follow` is called with a shape that is new
  /// here, before its first row. kCorrupt when a row does not fit its shape.
  Status Put(SqliteDatabase& db, const LoggedEvent& event,
             const std::function<Status(const events::Relation&)>& follow);
  void Forget() { tables_.clear(); }

 private:
  struct Table {
    events::Relation shape;
    SqliteQuery put;
    uint64_t number = 0;  // of the shape; 0: not known
  };
  /// Null when the event has no such shape.
  Result<Table*> Find(SqliteDatabase& db, const LoggedEvent& event, uint32_t oid,
                      const std::function<Status(const events::Relation&)>& follow);
  std::map<uint32_t, Table> tables_;  // by the source table's oid
};

}  // namespace indoubt::cdc_internal
