// What the observer sees at one moment.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"

namespace indoubt {

struct Observed {
  /// Branches prepared and undecided, the most of any store; none on a path where nothing is
  /// ever prepared.
  std::optional<int64_t> in_doubt;
  Duration in_doubt_oldest{};           // since the oldest of them was first seen
  int64_t waiters = 0;                  // outside writers that wait for a key
  std::map<std::string, Duration> lag;  // by store: since the oldest commit not visible there
  /// Of the source's log what the derived path's slot has not confirmed; none where nothing
  /// is derived.
  std::optional<int64_t> unconfirmed_bytes;
};

}  // namespace indoubt
