#include "cdc/schema_history.h"

#include <utility>

#include <fmt/format.h>

#include "cdc/same_shape.h"

namespace indoubt::cdc_internal {

const char kSchemasSchema[] = R"(
CREATE TABLE IF NOT EXISTS schemas(
  oid INTEGER NOT NULL, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL, shape BLOB NOT NULL,
  PRIMARY KEY(oid, lsn, ordinal)) WITHOUT ROWID;
)";

Status SchemaHistory::Load() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_.Prepare("SELECT oid, shape FROM schemas ORDER BY lsn, ordinal"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return Status::Ok();
    events::Relation& shape = last_[static_cast<uint32_t>(query.U64(0))];
    if (shape.ParseFromString(query.Bytes(1))) continue;
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: a shape of table {} is not what was written; "
                              "restore the file, or remove it, drop the slot and begin anew",
                              db_.path(), query.U64(0)));
  }
}

bool SchemaHistory::Knows(const events::Relation& shape) const {
  const auto fresh = fresh_.find(shape.oid());
  if (fresh != fresh_.end()) return SameShape(fresh->second, shape);
  const auto known = last_.find(shape.oid());
  return known != last_.end() && SameShape(known->second, shape);
}

Status SchemaHistory::Add(EventPosition position, const events::Transaction& event) {
  for (const events::Relation& shape : event.relations()) {
    if (Knows(shape)) continue;
    INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                             db_.Cached("INSERT INTO schemas VALUES (?1, ?2, ?3, ?4)"));
    query->Bind(1, uint64_t{shape.oid()});
    query->Bind(2, position.lsn.value);
    query->Bind(3, position.ordinal);
    query->BindBlob(4, shape.SerializeAsString());
    INDOUBT_RETURN_IF_ERROR(query->Run());
    fresh_[shape.oid()] = shape;
  }
  return Status::Ok();
}

void SchemaHistory::Committed() {
  for (auto& [oid, shape] : fresh_) last_[oid] = std::move(shape);
  fresh_.clear();
}

Status SchemaHistory::Clear() {
  last_.clear();
  fresh_.clear();
  return db_.Execute("DELETE FROM schemas");
}

}  // namespace indoubt::cdc_internal
