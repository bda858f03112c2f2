// Waits for a condition, never for a time.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "base/clock.h"

namespace indoubt {

/// Looks again and again until `condition` holds; false when it did not within `limit`.
inline bool Eventually(const std::function<bool()>& condition,
                       Duration limit = std::chrono::seconds(30)) {
  const TimePoint deadline = SystemClock().Now() + limit;
  while (!condition()) {
    if (SystemClock().Now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // between two looks
  }
  return true;
}

}  // namespace indoubt
