#include "cdc/schema_guard.h"

#include "cdc/same_shape.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {

Status SchemaGuard::Check(const LoggedEvent& event, EventLogReader& reader) {
  for (const events::Relation& shape : event.transaction.relations()) {
    const auto seen = shapes_.find(shape.oid());
    if (seen != shapes_.end() && SameShape(seen->second, shape)) continue;
    INDOUBT_ASSIGN_OR_RETURN(const auto before,
                             reader.ShapeBefore(shape.oid(), event.position));
    if (before) {
      INDOUBT_RETURN_IF_ERROR(
          CheckShapeChange(ToSourceRelation(*before), ToSourceRelation(shape), needs_, rule_)
              .WithContext("at " + event.position.lsn.ToString()));
    }
    shapes_[shape.oid()] = shape;
  }
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
