#include "cdc/views/schema_guard.h"

#include "cdc/log/same_shape.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {

Status SchemaGuard::Check(const LoggedEvent& event, EventLogReader& reader) {
  for (const events::Relation& shape : event.transaction->relations()) {
    INDOUBT_RETURN_IF_ERROR(CheckShape(shape, event, reader));
  }
  for (const uint64_t number : event.transaction->shapes()) {
    if (number == admitted_) continue;
    const events::Relation* shape = event.shapes->Find(number);
    INDOUBT_CHECK(shape != nullptr, "a logged event names a shape that the log lacks");
    INDOUBT_RETURN_IF_ERROR(CheckShape(*shape, event, reader));
    admitted_ = number;
  }
  return Status::Ok();
}

Status SchemaGuard::CheckShape(const events::Relation& shape, const LoggedEvent& event,
                               EventLogReader& reader) {
  const auto seen = shapes_.find(shape.oid());
  if (seen != shapes_.end() && SameShape(seen->second, shape)) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(const auto before, reader.ShapeBefore(shape.oid(), event.position));
  if (before) {
    INDOUBT_RETURN_IF_ERROR(
        CheckShapeChange(ToSourceRelation(*before), ToSourceRelation(shape), needs_, rule_)
            .WithContext("at " + event.position.lsn.ToString()));
  }
  shapes_[shape.oid()] = shape;
  admitted_ = 0;
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
