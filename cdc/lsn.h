// Positions in the source's write-ahead log, and in the event log made from it.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/status.h"

namespace indoubt {

/// A byte position in PostgreSQL's write-ahead log; 0 is "none yet".
struct Lsn {
  uint64_t value = 0;

  /// Parses PostgreSQL's text form, "16/B374D848". kInvalidArgument otherwise.
  static Result<Lsn> Parse(std::string_view text);
  /// PostgreSQL's text form.
  std::string ToString() const;
  friend auto operator<=>(const Lsn&, const Lsn&) = default;
};

/// The key of an event: the end of its commit record, and a number that tells
/// events with the same LSN apart (the chunks of a snapshot; 0 for a streamed
/// transaction). As a position it says that everything up to it is done.
struct EventPosition {
  Lsn lsn;
  uint64_t ordinal = 0;
  friend auto operator<=>(const EventPosition&, const EventPosition&) = default;
};

/// A position before `position`, which is above 0/0, and behind every event before it.
inline EventPosition JustBefore(EventPosition position) {
  if (position.ordinal > 0) return {position.lsn, position.ordinal - 1};
  return {Lsn{position.lsn.value - 1},
          static_cast<uint64_t>(std::numeric_limits<int64_t>::max())};
}

}  // namespace indoubt
