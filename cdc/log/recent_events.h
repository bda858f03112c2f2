// The events that were appended last, kept in memory once they are durable, so that a view
// that is not behind need not read them back. Private to this room.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "cdc/event_log.h"

namespace indoubt::cdc_internal {

/// Thread-safe. Bounded: the oldest batches go first.
class RecentEvents {
 public:
  using Batch = std::shared_ptr<const std::vector<LoggedEvent>>;

  RecentEvents();

  /// Adds durable events, of `bytes` in all, that follow without a gap on `before`, the last
  /// event's position. Joins them to the last batch while nobody was given that.
  void Add(EventPosition before, std::vector<LoggedEvent> events, size_t bytes);
  /// Nothing that was added is near the log's end any more.
  void Clear();

  /// The batch whose events are the first after `position`; null when there is none.
  Batch After(EventPosition position) const;
  /// The sequence of the first event of the first batch that `position` and an event behind it
  /// are before.
  std::optional<uint64_t> NextBegin(EventPosition position) const;
  /// Transactions of batches that are gone.
  std::vector<HeldTransaction> Reclaim();

 private:
  struct Entry {
    EventPosition before;
    std::shared_ptr<std::vector<LoggedEvent>> events;
    size_t bytes = 0;
    mutable bool given = false;  // somebody has it: it stays as it is
  };
  /// What is used no more; outlives the batches, which may outlive this.
  struct Spent {
    std::mutex mutex;
    std::vector<HeldTransaction> transactions;  // guarded by mutex
  };
  std::shared_ptr<std::vector<LoggedEvent>> Share(std::vector<LoggedEvent> events) const;
  void DropOldest();

  const std::shared_ptr<Spent> spent_;  // shared with each batch's end
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // guarded by mutex_, as is bytes_
  size_t bytes_ = 0;
};

}  // namespace indoubt::cdc_internal
