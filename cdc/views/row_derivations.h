// The derivation "rows": a view that holds the source's rows as they are. Private
// to this room; found by name in cdc/derivation.h.
#pragma once

#include "cdc/derivation.h"

namespace indoubt::cdc_internal {

Derivation RowsDerivation();

}  // namespace indoubt::cdc_internal
