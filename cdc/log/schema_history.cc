#include "cdc/log/schema_history.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt::cdc_internal {
namespace {

Status Damaged(const SqliteDatabase& db, const std::string& what) {
  return Status(StatusCode::kCorrupt,
                fmt::format("event log {}: {} is not what was written; restore the file, or "
                            "remove it, drop the slot and begin anew",
                            db.path(), what));
}

}  // namespace

const char kSchemasSchema[] = R"(
CREATE TABLE IF NOT EXISTS shapes(
  number INTEGER PRIMARY KEY, crc INTEGER NOT NULL, shape BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS schemas(
  oid INTEGER NOT NULL, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL, shape BLOB NOT NULL,
  PRIMARY KEY(oid, lsn, ordinal)) WITHOUT ROWID;
)";

Status ReadShape(SqliteDatabase& db, uint64_t number, ShapeTable& shapes) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db.Prepare("SELECT crc, shape FROM shapes WHERE number = ?1"));
  query.Bind(1, number);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  events::Relation shape;
  if (!found || Crc32c(query.View(1)) != query.U64(0) ||
      !shape.ParseFromString(query.Bytes(1)) || !shapes.Put(number, shape)) {
    return Damaged(db, fmt::format("shape {}", number));
  }
  return Status::Ok();
}

Status SchemaHistory::Load() {
  stored_.clear();
  last_.clear();
  settled_ = 0;
  adding_ = false;
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery numbers, db_.Prepare("SELECT number FROM shapes"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, numbers.Next());
    if (!more) break;
    INDOUBT_RETURN_IF_ERROR(ReadShape(db_, numbers.U64(0), shapes_));
    stored_.insert(numbers.U64(0));
  }
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_.Prepare("SELECT oid, shape FROM schemas ORDER BY lsn, ordinal"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return Status::Ok();
    events::Relation shape;
    if (!shape.ParseFromString(query.Bytes(1))) {
      return Damaged(db_, fmt::format("a shape of table {}", query.U64(0)));
    }
    last_[static_cast<uint32_t>(query.U64(0))] = shapes_.NumberOf(shape);
  }
}

Status SchemaHistory::Begin() { return adding_ ? Load() : Status::Ok(); }

Status SchemaHistory::Store(uint64_t number) {
  if (stored_.contains(number)) return Status::Ok();
  const events::Relation* shape = shapes_.Find(number);
  if (shape == nullptr) {
    return Status(StatusCode::kInternal,
                  fmt::format("an event names shape {}, which nobody knows", number));
  }
  const std::string bytes = shape->SerializeAsString();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_.Cached("INSERT INTO shapes VALUES (?1, ?2, ?3)"));
  query->Bind(1, number);
  query->Bind(2, uint64_t{Crc32c(bytes)});
  query->BindBlob(3, bytes);
  adding_ = true;
  INDOUBT_RETURN_IF_ERROR(query->Run());
  stored_.insert(number);
  return Status::Ok();
}

Status SchemaHistory::Add(EventPosition position, const events::Transaction& event) {
  for (const events::Relation& shape : event.relations()) {
    INDOUBT_RETURN_IF_ERROR(Add(position, shape));
  }
  for (const uint64_t number : event.shapes()) {
    if (number == settled_) continue;
    INDOUBT_RETURN_IF_ERROR(Store(number));
    INDOUBT_RETURN_IF_ERROR(Add(position, *shapes_.Find(number)));
    settled_ = number;
  }
  return Status::Ok();
}

Status SchemaHistory::Add(EventPosition position, const events::Relation& shape) {
  const uint64_t number = shapes_.NumberOf(shape);
  uint64_t& last = last_[shape.oid()];
  if (last == number) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * query,
      db_.Cached("INSERT OR REPLACE INTO schemas VALUES (?1, ?2, ?3, ?4)"));
  query->Bind(1, uint64_t{shape.oid()});
  query->Bind(2, position.lsn.value);
  query->Bind(3, position.ordinal);
  query->BindBlob(4, shape.SerializeAsString());
  adding_ = true;
  INDOUBT_RETURN_IF_ERROR(query->Run());
  last = number;
  settled_ = 0;
  return Status::Ok();
}

Status SchemaHistory::Clear() {
  last_.clear();
  settled_ = 0;
  return db_.Execute("DELETE FROM schemas");
}

}  // namespace indoubt::cdc_internal
