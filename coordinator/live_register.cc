#include "coordinator/live_register.h"

#include "base/brief_lock.h"
#include "coordinator/live_transaction.h"

namespace indoubt {

bool LiveRegister::Add(const Pointer& transaction, size_t at_most) {
  // Counted first: many at once must not slip past the bound together.
  if (count_.fetch_add(1) < at_most) {
    Shard& shard = ShardOf(transaction->gid());
    const std::unique_lock lock = LockBriefly(shard.mutex);
    if (shard.live.emplace(transaction->gid(), transaction).second) return true;
  }
  count_.fetch_sub(1);
  return false;
}

void LiveRegister::Remove(const Gid& gid) {
  Pointer last;  // goes after the lock
  Shard& shard = ShardOf(gid);
  {
    const std::unique_lock lock = LockBriefly(shard.mutex);
    const auto place = shard.live.find(gid);
    if (place == shard.live.end()) return;
    last = std::move(place->second);
    shard.live.erase(place);
  }
  count_.fetch_sub(1);
}

std::vector<LiveRegister::Pointer> LiveRegister::All() const {
  std::vector<Pointer> all;
  all.reserve(count_);
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [gid, transaction] : shard.live) all.push_back(transaction);
  }
  return all;
}

}  // namespace indoubt
