// Every schedule within a budget of faults, of one transaction over two and over three
// participants, also with a logged last resource: every vote, a death of the coordinator before
// every step, with the log's tail kept, lost or torn, another in its recovery, a lost or
// duplicated message, a failed sync.
//
//   INDOUBT_SCHEDULE=yn:2>0,0,3    only this one, with every step printed
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "tests/simulation/enumeration.h"
#include "tests/simulation/world.h"

namespace indoubt::simulation {
namespace {

struct Ran {
  std::string violation;
  uint64_t hash = 0;
  std::vector<std::string> lines;
};

Ran RunOnce(ChoiceTree& tree, const Plan& plan, bool keep_trace) {
  ExhaustiveNature nature(tree, plan);
  WorldOptions options;
  options.stores = plan.prepares.size();
  options.token_bytes = 300;  // a decision lies on several sectors, so that it can be torn
  options.recovery_interval = std::chrono::milliseconds(2400);
  options.last_resource = plan.last_resource;
  options.keep_trace = keep_trace;
  World world(nature, options);
  world.RunFor(std::chrono::milliseconds(50));
  nature.Arm();
  std::set<size_t> all;
  for (size_t i = 0; i < options.stores; ++i) all.insert(i);
  world.Submit(all);
  world.RunFor(std::chrono::milliseconds(2300));
  world.Settle();
  return {world.violation(), world.trace().hash(), world.trace().lines()};
}

/// Every combination of votes, with the answers in the order of the stores or, too, in the
/// opposite one.
std::vector<Plan> AllPlans(size_t stores, int faults, bool both_orders) {
  std::vector<Plan> plans{Plan{{}, false, faults}};
  for (size_t store = 0; store < stores; ++store) {
    std::vector<Plan> longer;
    for (const Plan& plan : plans) {
      for (const PrepareFate fate : kPrepareFates) {
        longer.push_back(plan);
        longer.back().prepares.push_back(fate);
      }
    }
    plans = std::move(longer);
  }
  if (!both_orders) return plans;
  const size_t count = plans.size();
  for (size_t i = 0; i < count; ++i) {
    plans.push_back(plans[i]);
    plans.back().last_is_quickest = true;
  }
  return plans;
}

struct Explored {
  int64_t schedules = 0;
  std::unordered_set<uint64_t> distinct;  // hashes of what happened
  std::vector<std::string> broken;
};

/// Every combination of votes, with each that may come of a last resource's commit.
std::vector<Plan> AllPlansWithLastResource(size_t stores, int faults) {
  std::vector<Plan> plans;
  for (const Plan& others : AllPlans(stores - 1, faults, /*both_orders=*/false)) {
    for (const PrepareFate fate : kDecideFates) {
      plans.push_back(others);
      plans.back().prepares.push_back(fate);
      plans.back().last_resource = true;
    }
  }
  return plans;
}

/// Runs all schedules of all plans on two threads.
Explored Explore(const std::vector<Plan>& plans) {
  Explored explored;
  std::mutex mutex;  // guards explored
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < plans.size(); i = next++) {
      ChoiceTree tree;
      std::vector<uint64_t> hashes;
      std::vector<std::string> broken;
      do {
        const Ran ran = RunOnce(tree, plans[i], false);
        hashes.push_back(ran.hash);
        if (ran.violation.empty()) continue;
        broken.push_back(
            fmt::format("{}\nto see every step (commit {}):\n  INDOUBT_SCHEDULE='{}{}' "
                        "build/release/tests/exhaustive_test --gtest_filter='*OneSchedule*'",
                        ran.violation, INDOUBT_GIT_COMMIT, plans[i].ToString(),
                        fmt::join(tree.choices(), ",")));
      } while (broken.size() < 3 && tree.Next());
      const std::lock_guard lock(mutex);
      explored.schedules += static_cast<int64_t>(hashes.size());
      explored.distinct.insert(hashes.begin(), hashes.end());
      explored.broken.insert(explored.broken.end(), broken.begin(), broken.end());
      if (explored.broken.size() > 5) next = plans.size();
    }
  };
  // Each world makes and drops a few big buffers; to give them back to the system and to
  // ask for them anew would cost more than the rest.
  mallopt(M_MMAP_THRESHOLD, 64 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  std::thread other(work);
  work();
  other.join();
  return explored;
}

#ifdef NDEBUG
constexpr int kFaults = 2;
constexpr size_t kFewerSchedules = 1;
#else
constexpr int kFaults = 1;  // under a sanitizer
constexpr size_t kFewerSchedules = 100;
#endif

void ExploreAndJudge(const std::vector<Plan>& plans, size_t at_least) {
  const Explored explored = Explore(plans);
  fmt::print(
      "{} participants{}, at most {} faults: {} combinations of votes, {} schedules, {} of "
      "them distinct, {} violations\n",
      plans.front().prepares.size(), plans.front().last_resource ? ", one a last resource" : "",
      plans.front().faults, plans.size(), explored.schedules, explored.distinct.size(),
      explored.broken.size());
  for (const std::string& broken : explored.broken) ADD_FAILURE() << broken;
  EXPECT_GE(explored.distinct.size(), at_least / kFewerSchedules);
}

TEST(ExhaustiveTest, TwoParticipantsAndAnyTwoFaults) {
  ExploreAndJudge(AllPlans(2, kFaults, /*both_orders=*/true), 25'000);
}

TEST(ExhaustiveTest, ThreeParticipantsAndAnyTwoFaults) {
  const bool both_orders = std::getenv("INDOUBT_LONG") != nullptr;
  ExploreAndJudge(AllPlans(3, kFaults, both_orders), 100'000);
}

TEST(ExhaustiveTest, OneParticipantWithALastResourceAndAnyTwoFaults) {
  ExploreAndJudge(AllPlansWithLastResource(2, kFaults), 5'000);
}

TEST(ExhaustiveTest, TwoParticipantsWithALastResourceAndAnyTwoFaults) {
  ExploreAndJudge(AllPlansWithLastResource(3, kFaults), 25'000);
}

TEST(ExhaustiveTest, OneScheduleWithEveryStep) {
  const char* given = std::getenv("INDOUBT_SCHEDULE");
  const std::string text = given ? given : "yy:2>";
  const size_t end = text.find_first_of("<>") + 1;
  const auto plan = Plan::Parse(text.substr(0, end));
  ASSERT_TRUE(plan) << plan.status().ToString();
  std::vector<size_t> choices;
  for (size_t at = end; at < text.size();) {
    size_t used = 0;
    choices.push_back(std::stoul(text.substr(at), &used));
    at += used + 1;
  }
  ChoiceTree tree, again;
  tree.Repeat(choices);
  again.Repeat(choices);
  const Ran ran = RunOnce(tree, *plan, true);
  if (given) fmt::print("{}\n", fmt::join(ran.lines, "\n"));
  EXPECT_EQ(ran.violation, "");
  EXPECT_EQ(ran.hash, RunOnce(again, *plan, false).hash) << "not the same run again";
}

}  // namespace
}  // namespace indoubt::simulation
