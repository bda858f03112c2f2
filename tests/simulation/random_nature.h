// A nature that draws everything from a seed: also how bad this world is, so that some
// worlds have one kind of trouble only and others all of them.
#pragma once

#include <random>

#include "tests/simulation/nature.h"
#include "tests/simulation/world.h"

namespace indoubt::simulation {

class RandomNature final : public Nature {
 public:
  explicit RandomNature(uint64_t seed);

  Duration Latency(size_t store) override;
  Fate OfRequest(MessageKind kind, size_t store) override { return OfMessage(kind, store); }
  Fate OfReply(MessageKind kind, size_t store) override { return OfMessage(kind, store); }
  VoteKind Vote(size_t store) override;
  Duration CommitTime(size_t store) override;
  Death BeforeStep(const std::function<bool()>& unsynced) override;
  DiskFate OfDisk(DiskStep step) override;
  Duration FlushDelay() override;
  Duration RestartDelay() override;
  uint64_t Number() override { return random_() & 0xffffffff; }

  /// True once in so many times; never for 0.
  bool OneIn(uint64_t times) { return times > 0 && random_() % times == 0; }
  uint64_t Below(uint64_t limit) { return random_() % limit; }
  Duration UpTo(Duration longest) {
    return Duration(static_cast<int64_t>(Below(static_cast<uint64_t>(longest.count()) + 1)));
  }
  Death SomeDeath();
  WorldOptions SomeOptions(bool keep_trace);

  // How often, one in so many; 0: never.
  uint64_t lost = 0, twice = 0, late = 0, death = 0, disk_failure = 0;
  uint64_t store_crash = 0, by_hand = 0, no_vote = 0, slow_commit = 0;

 private:
  Fate OfMessage(MessageKind kind, size_t store);
  uint64_t Some(std::initializer_list<uint64_t> rates) {
    return *(rates.begin() + Below(rates.size()));
  }

  std::mt19937_64 random_;
  Duration slowest_{};
};

/// Plans a few seconds of clients' work and of bad luck; then the world may be run.
void PlanBadLuck(World& world, RandomNature& nature, size_t stores);

}  // namespace indoubt::simulation
