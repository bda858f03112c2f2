// The transactions under way: the active set of recovery. In shards, since every
// transaction enters and leaves it, from many threads at once.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/gid.h"

namespace indoubt {

class LiveTransaction;

/// Thread-safe.
class LiveRegister {
 public:
  using Pointer = std::shared_ptr<LiveTransaction>;

  /// False, and nothing is done, when its gid is registered or `at_most` are.
  bool Add(const Pointer& transaction, size_t at_most);
  void Remove(const Gid& gid);
  /// Those that are in it all the while, and some of those that come or go meanwhile.
  std::vector<Pointer> All() const;
  size_t count() const { return count_; }

 private:
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    // Guarded by mutex. Flat: most stay for a few milliseconds, and would each take and
    // give back a node.
    boost::unordered_flat_map<Gid, Pointer, std::hash<Gid>> live;
  };
  static constexpr size_t kShards = 16;
  Shard& ShardOf(const Gid& gid) { return shards_[gid.number % kShards]; }

  std::array<Shard, kShards> shards_;
  std::atomic<size_t> count_{0};
};

}  // namespace indoubt
