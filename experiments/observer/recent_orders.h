// The orders that clients placed of late and that may exist: where the readers and
// the outside writers look.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

namespace indoubt {

/// Thread-safe. Holds the last 64.
class RecentOrders {
 public:
  void Add(int64_t order) {
    std::lock_guard lock(mutex_);
    orders_.push_back(order);
    if (orders_.size() > kMost) orders_.pop_front();
  }
  /// The order was refused or rolled back: it does not exist.
  void Remove(int64_t order) {
    std::lock_guard lock(mutex_);
    orders_.erase(std::remove(orders_.begin(), orders_.end(), order), orders_.end());
  }
  /// One of them, chosen by `random`; none while there are none.
  std::optional<int64_t> Pick(uint64_t random) const {
    std::lock_guard lock(mutex_);
    if (orders_.empty()) return std::nullopt;
    return orders_[random % orders_.size()];
  }

 private:
  static constexpr size_t kMost = 64;
  mutable std::mutex mutex_;
  std::deque<int64_t> orders_;  // guarded by mutex_
};

}  // namespace indoubt
