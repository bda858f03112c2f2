// A store in memory, behind a participant that answers on the caller's thread before
// the call returns: what is left to measure is the coordinator and its log. It keeps
// the promise of a yes vote as far as memory can: what is prepared stays listed, with
// its token, until it is told the decision, and a commit of anything else is noticed.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "participants/participant.h"

namespace indoubt::bench {

/// Outlives the coordinators over it, as a real store does. Bounded by what is
/// prepared. Thread-safe.
class MemoryStore {
 public:
  /// Of all gids one log only, which the first one names (checked).
  Token Prepare(const Gid& gid);
  AckKind Commit(const Gid& gid, const Token& token);
  void Rollback(const Gid& gid);
  std::vector<std::pair<Gid, Token>> Prepared() const;

  uint64_t committed() const { return committed_; }
  uint64_t rolled_back() const { return rolled_back_; }
  /// Commits of what was not prepared here, or with another token.
  uint64_t surprises() const { return surprises_; }
  size_t prepared_count() const;

 private:
  struct alignas(64) Shard {
    mutable std::mutex mutex;
    // Gid to token; guarded by mutex. Flat: what it costs is the bench's, not the
    // coordinator's.
    boost::unordered_flat_map<uint64_t, uint64_t> prepared;
  };
  static constexpr size_t kShards = 16;

  uint64_t KeyOf(const Gid& gid);
  Shard& ShardOf(uint64_t key) { return shards_[key % kShards]; }

  std::array<Shard, kShards> shards_;
  std::once_flag named_;
  Gid any_;  // node and log of all that is here; set once
  std::atomic<uint64_t> next_token_{1};
  std::atomic<uint64_t> committed_{0}, rolled_back_{0}, surprises_{0};
};

/// `store` must outlive the participant.
std::unique_ptr<Participant> MakeMemoryParticipant(std::string name, MemoryStore& store);

}  // namespace indoubt::bench
