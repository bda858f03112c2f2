// Sizes as people write them: "512MiB", "20GiB". A number without a unit is an error, as with
// durations.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace indoubt {

/// Parses a whole number above 0 followed by B, KiB, MiB, GiB or TiB; at most 2^62 bytes.
/// kInvalidArgument says what is wrong.
Result<uint64_t> ParseByteSize(std::string_view text);

}  // namespace indoubt
