// Calls a derivation, which is somebody else's code. Private to this room.
#pragma once

#include <exception>

#include "cdc/derivation.h"

namespace indoubt::cdc_internal {

/// What it gives; kInvalidArgument with its words when it throws.
template <typename Call>
auto CallDerivation(const Call& derivation, const RowChange& change)
    -> decltype(derivation(change)) {
  try {
    return derivation(change);
  } catch (const std::exception& thrown) {
    return Status(
        StatusCode::kInvalidArgument,
        "the derivation of table " + change.relation->name + " threw: " + thrown.what());
  }
}

}  // namespace indoubt::cdc_internal
