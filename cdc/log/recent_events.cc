#include "cdc/log/recent_events.h"

#include <iterator>
#include <utility>

namespace indoubt::cdc_internal {
namespace {

// Of one batch, which a view applies in one atomic write.
constexpr size_t kMaxBatch = 4096;
constexpr size_t kMaxBatchBytes = size_t{4} << 20;
// Of all: decoded, an event of one small row needs several times its size in the log.
constexpr size_t kMaxBytes = size_t{12} << 20;
constexpr size_t kMaxBatches = 8;
// What is kept for later transactions.
constexpr size_t kMaxSpent = 8192;
constexpr int kMaxSpentChanges = 64;

}  // namespace

RecentEvents::RecentEvents() : spent_(std::make_shared<Spent>()) {}

std::shared_ptr<std::vector<LoggedEvent>> RecentEvents::Share(
    std::vector<LoggedEvent> events) const {
  return {new std::vector<LoggedEvent>(std::move(events)),
          [spent = spent_](std::vector<LoggedEvent>* batch) {
            const std::unique_ptr<std::vector<LoggedEvent>> owned(batch);
            const std::lock_guard lock(spent->mutex);
            if (spent->transactions.empty()) spent->transactions.reserve(batch->size());
            for (LoggedEvent& event : *batch) {
              if (spent->transactions.size() >= kMaxSpent) break;
              // What was large once would be kept for ever.
              if (event.transaction->changes_size() > kMaxSpentChanges) continue;
              spent->transactions.push_back(std::move(event.transaction));
            }
          }};
}

void RecentEvents::Add(EventPosition before, std::vector<LoggedEvent> events, size_t bytes) {
  const std::lock_guard lock(mutex_);
  Entry* last = entries_.empty() ? nullptr : &entries_.back();
  const bool joins = last != nullptr && !last->given &&
                     last->events->back().position == before &&
                     last->events->size() + events.size() <= kMaxBatch &&
                     last->bytes + bytes <= kMaxBatchBytes;
  if (joins) {
    last->events->insert(last->events->end(), std::make_move_iterator(events.begin()),
                         std::make_move_iterator(events.end()));
    last->bytes += bytes;
  } else {
    entries_.push_back({before, Share(std::move(events)), bytes});
  }
  bytes_ += bytes;
  while (entries_.size() > kMaxBatches || (bytes_ > kMaxBytes && !entries_.empty())) {
    DropOldest();
  }
}

void RecentEvents::DropOldest() {
  bytes_ -= entries_.front().bytes;
  entries_.pop_front();
}

void RecentEvents::Clear() {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty()) DropOldest();
}

RecentEvents::Batch RecentEvents::After(EventPosition position) const {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    // Between the two there is no event: a view comes there when only others write.
    if (entry.before <= position && position < entry.events->front().position) {
      entry.given = true;
      return entry.events;
    }
  }
  return nullptr;
}

std::optional<uint64_t> RecentEvents::NextBegin(EventPosition position) const {
  const std::lock_guard lock(mutex_);
  for (const Entry& entry : entries_) {
    // Not by sequence: compaction may have left none of those up to `position`.
    if (entry.before > position) return entry.events->front().sequence;
  }
  return std::nullopt;
}

std::vector<HeldTransaction> RecentEvents::Reclaim() {
  const std::lock_guard lock(spent_->mutex);
  return std::exchange(spent_->transactions, {});
}

}  // namespace indoubt::cdc_internal
