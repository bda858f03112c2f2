// Whether two shapes of a table are the same. Private to this room.
#pragma once

#include "proto/events.pb.h"

namespace indoubt::cdc_internal {

/// Of one table: its name, and its columns with name, type and place in the replica identity.
/// Asked for each event, so by the fields: to serialise both costs several times as much.
bool SameShape(const events::Relation& a, const events::Relation& b);

}  // namespace indoubt::cdc_internal
