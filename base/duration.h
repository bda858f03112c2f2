// Durations as people write them: "5s", "500ms". A number without a unit is an
// error, because nobody can tell what it means.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace indoubt {

/// Parses a non-negative decimal number followed by ns, us, ms, s, m or h
/// ("1.5s", "250us"); at most 10 years. kInvalidArgument says what is wrong.
Result<Duration> ParseDuration(std::string_view text);

/// The shortest exact form, e.g. "5s", "1500ms", "1h".
std::string FormatDuration(Duration duration);

}  // namespace indoubt
