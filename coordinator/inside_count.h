// How many are inside of something that ends once all have left: a count in parts, each
// mostly of one thread, so that threads which come and go do not fetch it from each other.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

namespace indoubt {

/// Thread-safe. Who enters leaves on the same thread.
class InsideCount {
 public:
  /// A shut door is seen: whoever enters looks for it after this, and whoever shuts it calls
  /// Anybody after that.
  void Enter() { ++Mine(); }
  void Leave() { --Mine(); }
  /// Whether anybody is who entered before this was called. With the door shut, once it is
  /// false it stays so, but for those who turn back at once.
  bool Anybody() const {
    return std::any_of(parts_.begin(), parts_.end(),
                       [](const Part& part) { return part.inside > 0; });
  }

 private:
  struct alignas(64) Part {
    std::atomic<int> inside{0};
  };

  std::atomic<int>& Mine() {
    static std::atomic<size_t> threads{0};
    static thread_local const size_t mine = threads.fetch_add(1, std::memory_order_relaxed);
    return parts_[mine % parts_.size()].inside;
  }

  std::array<Part, 16> parts_;
};

}  // namespace indoubt
