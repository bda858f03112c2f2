// Time. Everything that waits uses the monotonic clock, so that a jump of the
// wall clock changes no outcome. The wall clock is only ever shown to people.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace indoubt {

/// CLOCK_MONOTONIC; comparable between processes of one machine until it reboots.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

/// A source of time; a seam so that a simulator can own it.
/// Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  /// The wall clock: seconds since 1970, for what outlives a boot. It may jump.
  virtual int64_t WallSeconds() const = 0;
};

/// The machine's own clocks.
const Clock& SystemClock();

/// Nanoseconds of CLOCK_MONOTONIC now, for records that processes share.
int64_t MonotonicNanos();

/// The wall clock as RFC 3339 in UTC with milliseconds: "2026-11-24T09:30:00.123Z".
std::string WallClockNow();

}  // namespace indoubt
