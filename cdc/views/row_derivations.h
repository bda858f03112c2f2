// The derivation "rows": a view that holds the source's rows as they are. Private
// to this room; found by name in cdc/derivation.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "cdc/derivation.h"

namespace indoubt::cdc_internal {

Derivation RowsDerivation();

/// The number that PostgreSQL has written as `text`, to the last bit, when `type_oid` is a
/// float's and it is finite.
std::optional<double> ExactDouble(std::string_view text, uint32_t type_oid);

}  // namespace indoubt::cdc_internal
