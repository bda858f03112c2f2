// The shapes that the source's tables had, as the log's file keeps them. Private to this room.
//
//   shapes(number, crc, shape)         what events name, see ShapeTable; never removed
//   schemas(oid, lsn, ordinal, shape)  each shape of a table at the first event that has it
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "cdc/event_log.h"
#include "cdc/sqlite_handle.h"

namespace indoubt::cdc_internal {

/// The tables, made if absent.
extern const char kSchemasSchema[];

/// The shape of that number in the log that `db` is open on, put into `shapes`. kCorrupt when
/// it is not there, or not what was written.
Status ReadShape(SqliteDatabase& db, uint64_t number, ShapeTable& shapes);

/// Belongs to the log's writer. `db` and `shapes` must outlive it.
class SchemaHistory {
 public:
  SchemaHistory(SqliteDatabase& db, ShapeTable& shapes) : db_(db), shapes_(shapes) {}

  /// Reads what the file holds. kCorrupt when that is not what was written.
  Status Load();
  /// A transaction with events begins: what one before it added and did not commit is gone.
  Status Begin();
  /// Keeps what is new of the shapes of `event`, in the open transaction.
  Status Add(EventPosition position, const events::Transaction& event);
  /// The transaction is committed.
  void Committed() { adding_ = false; }
  /// Forgets the history, in the open transaction. Numbers stay.
  Status Clear();

 private:
  Status Add(EventPosition position, const events::Relation& shape);
  /// So that events may name it.
  Status Store(uint64_t number);

  SqliteDatabase& db_;
  ShapeTable& shapes_;
  std::set<uint64_t> stored_;          // numbers in the file
  std::map<uint32_t, uint64_t> last_;  // the last shape of each table, by its oid
  uint64_t settled_ = 0;               // a number of which nothing is new; 0: none is known
  bool adding_ = false;                // something that is not committed yet
};

}  // namespace indoubt::cdc_internal
