// Long work that gives way now and then. Private to this room.
#pragma once

#include <cstddef>
#include <thread>

#include "cdc/event_log.h"

namespace indoubt::cdc_internal {

/// Counted by who writes many rows at one go, the log or a view, it offers the processor after
/// every kRows of them, some 70 us, to others that wait for it. A socket from the source holds
/// less than half a millisecond of a busy one's messages, so that the source would stand still
/// while its receiver waited for a whole turn of the scheduler's, several times as long. Costs
/// nothing to speak of when nobody waits. Not thread-safe.
class RowTurns {
 public:
  void Count(const events::Transaction& transaction) {
    rows_ += 1 + static_cast<size_t>(transaction.changes_size());
    if (rows_ < kRows) return;
    rows_ = 0;
    std::this_thread::yield();
  }

 private:
  static constexpr size_t kRows = 64;
  size_t rows_ = 0;
};

}  // namespace indoubt::cdc_internal
