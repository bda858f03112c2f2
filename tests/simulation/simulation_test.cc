// Random lives of the whole coordinator: one seed, one run, and the same run whenever
// the seed is the same.
//
//   INDOUBT_SEEDS=20000        how many
//   INDOUBT_SEED=4711          only this one, with every step printed
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/simulation/random_nature.h"

namespace indoubt::simulation {
namespace {

struct SeedRun {
  std::string violation;
  uint64_t hash = 0;
  std::vector<std::string> lines;
  int lives = 0, committed = 0, rolled_back = 0;
};

SeedRun RunSeed(uint64_t seed, bool keep_trace) {
  RandomNature nature(seed);
  const WorldOptions options = nature.SomeOptions(keep_trace);
  World world(nature, options);
  PlanBadLuck(world, nature, options.stores);
  world.Settle();
  return {world.violation(), world.trace().hash(),           world.trace().lines(),
          world.lives(),     world.invariants().committed(), world.invariants().rolled_back()};
}

uint64_t FromEnvironment(const char* name, uint64_t usual) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : usual;
}

uint64_t UsualSeeds() {
#ifdef NDEBUG
  return std::getenv("INDOUBT_LONG") != nullptr ? 400'000 : 20'000;
#else
  return 1'000;  // under a sanitizer
#endif
}

std::string HowToRepeat(uint64_t seed) {
  return fmt::format(
      "seed {} of commit {}; to see every step:\n"
      "  INDOUBT_SEED={} build/release/tests/simulation_test "
      "--gtest_filter='*OneSeed*'",
      seed, INDOUBT_GIT_COMMIT, seed);
}

TEST(SimulationTest, NoSeedBreaksAnInvariant) {
  const uint64_t seeds = FromEnvironment("INDOUBT_SEEDS", UsualSeeds());
  const uint64_t first = FromEnvironment("INDOUBT_FIRST_SEED", 1);
  std::atomic<uint64_t> next{first};
  std::atomic<int64_t> lives{0}, committed{0}, rolled_back{0};
  std::mutex mutex;
  std::map<uint64_t, std::string> broken;  // guarded by mutex
  const auto work = [&] {
    for (uint64_t seed = next++; seed < first + seeds; seed = next++) {
      const SeedRun run = RunSeed(seed, false);
      lives += run.lives;
      committed += run.committed;
      rolled_back += run.rolled_back;
      if (run.violation.empty()) continue;
      const std::lock_guard lock(mutex);
      broken[seed] = run.violation;
      if (broken.size() >= 10) next = first + seeds;
    }
  };
  std::thread other(work);
  work();
  other.join();
  fmt::print("{} seeds, {} lives of the coordinator, {} commits decided, {} not\n", seeds,
             lives.load(), committed.load(), rolled_back.load());
  for (const auto& [seed, violation] : broken) {
    ADD_FAILURE() << violation << "\n" << HowToRepeat(seed);
  }
  // A world in which nothing happens proves nothing.
  EXPECT_GT(committed, static_cast<int64_t>(seeds));
  EXPECT_GT(rolled_back, static_cast<int64_t>(seeds) / 2);
  EXPECT_GT(lives, 2 * static_cast<int64_t>(seeds));
}

TEST(SimulationTest, TheSameSeedIsTheSameRun) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const SeedRun first = RunSeed(seed, false), second = RunSeed(seed, true);
    ASSERT_EQ(first.hash, second.hash) << HowToRepeat(seed);
    hashes.insert(first.hash);
  }
  EXPECT_EQ(hashes.size(), 50u);
}

TEST(SimulationTest, OneSeedWithEveryStep) {
  const uint64_t seed = FromEnvironment("INDOUBT_SEED", 1);
  const SeedRun run = RunSeed(seed, true);
  if (std::getenv("INDOUBT_SEED")) {
    for (const std::string& line : run.lines) fmt::print("{}\n", line);
  }
  EXPECT_EQ(run.violation, "") << HowToRepeat(seed);
  EXPECT_FALSE(run.lines.empty());
}

}  // namespace
}  // namespace indoubt::simulation
