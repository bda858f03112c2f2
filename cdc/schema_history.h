// The shapes that the source's tables had, as the log's writer keeps them. Private to this
// room.
//
//   schemas(oid, lsn, ordinal, shape)  each shape of a table at the first event that has it
#pragma once

#include <cstdint>
#include <map>

#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// The table, made if absent.
extern const char kSchemasSchema[];

/// Belongs to the log's writer. `db` must outlive it.
class SchemaHistory {
 public:
  explicit SchemaHistory(SqliteDatabase& db) : db_(db) {}

  /// Reads what the file holds. kCorrupt when that is not what was written.
  Status Load();
  /// A transaction with events begins: what one before it added and did not commit is gone.
  void Begin() { fresh_.clear(); }
  /// Keeps the shapes of `event` that are new, in the open transaction.
  Status Add(EventPosition position, const events::Transaction& event);
  /// The transaction is committed.
  void Committed();
  /// Forgets all shapes, in the open transaction.
  Status Clear();

 private:
  bool Knows(const events::Relation& shape) const;

  SqliteDatabase& db_;
  std::map<uint32_t, events::Relation> last_;   // of each table, by its oid
  std::map<uint32_t, events::Relation> fresh_;  // since then, in the open transaction
};

}  // namespace indoubt::cdc_internal
