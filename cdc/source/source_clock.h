// PostgreSQL's time, in which it says when a transaction committed. Private to this room.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace indoubt::cdc_internal {

// Between 1970 and 2000, where PostgreSQL's clock begins.
inline constexpr int64_t kEpochMicros = int64_t{946'684'800} * 1'000'000;

inline int64_t ToMicros(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

/// This machine's wall clock.
inline int64_t MicrosSince2000() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count() - kEpochMicros;
}

}  // namespace indoubt::cdc_internal
