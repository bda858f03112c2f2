#include "tests/simulation/random_nature.h"

namespace indoubt::simulation {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLength = seconds(3);

}  // namespace

RandomNature::RandomNature(uint64_t seed) : random_(seed) {
  lost = Some({0, 0, 50, 12});
  twice = Some({0, 20, 6});
  late = Some({0, 0, 60, 20});
  death = Some({0, 200, 60, 25});
  disk_failure = Some({0, 0, 60, 15});
  store_crash = Some({0, 1, 2});
  by_hand = Some({0, 0, 2, 1});
  no_vote = Some({0, 8, 3});
  slow_commit = Some({0, 8, 2});
  slowest_ = microseconds(Some({500, 5'000, 60'000, 400'000}));
}

WorldOptions RandomNature::SomeOptions(bool keep_trace) {
  WorldOptions options;
  options.stores = 2 + Below(3);
  options.token_bytes = Some({8, 300, 7000, 14000});
  options.recovery_interval = milliseconds(Some({40, 200, 1000, 0}));
  options.orphans_possible = late > 0 || store_crash > 0;
  options.outcome_retention = seconds(Some({1, 3600}));
  options.last_resource = OneIn(3);
  options.keep_trace = keep_trace;
  return options;
}

Duration RandomNature::Latency(size_t) {
  // Mostly quick, sometimes slow: that reorders.
  const Duration longest = OneIn(4) ? slowest_ : slowest_ / 8;
  return microseconds(100) + UpTo(longest);
}

Fate RandomNature::OfMessage(MessageKind, size_t) {
  if (OneIn(lost)) return Fate::kLost;
  if (OneIn(twice)) return Fate::kTwice;
  return OneIn(late) ? Fate::kLate : Fate::kArrives;
}

VoteKind RandomNature::Vote(size_t) {
  if (OneIn(no_vote)) return VoteKind::kNo;
  return OneIn(8) ? VoteKind::kReadOnly : VoteKind::kYes;
}

Duration RandomNature::CommitTime(size_t) {
  return OneIn(slow_commit) ? UpTo(seconds(2)) : Duration{};
}

Death RandomNature::SomeDeath() {
  if (OneIn(2)) return Death::kKilled;
  constexpr Death kCuts[] = {Death::kPowerLost, Death::kPowerKept, Death::kPowerTorn};
  return kCuts[Below(3)];
}

Death RandomNature::BeforeStep(const std::function<bool()>&) {
  return OneIn(death) ? SomeDeath() : Death::kNone;
}

DiskFate RandomNature::OfDisk(DiskStep) {
  if (!OneIn(disk_failure)) return DiskFate::kDone;
  return OneIn(2) ? DiskFate::kFails : DiskFate::kFailsThough;
}

Duration RandomNature::FlushDelay() { return OneIn(2) ? Duration{} : UpTo(milliseconds(3)); }

Duration RandomNature::RestartDelay() { return milliseconds(1) + UpTo(milliseconds(500)); }

void PlanBadLuck(World& world, RandomNature& nature, size_t stores) {
  const auto sometime = [&nature] { return nature.UpTo(kLength); };
  for (uint64_t i = 3 + nature.Below(10); i > 0; --i) {
    std::set<size_t> chosen;
    const size_t wanted = nature.OneIn(6) ? 1 : 2 + nature.Below(stores - 1);
    while (chosen.size() < wanted) chosen.insert(nature.Below(stores));
    world.At(sometime(), [&world, chosen] { world.Submit(chosen); });
  }
  for (size_t store = 0; store < stores; ++store) {
    if (!nature.OneIn(nature.store_crash)) continue;
    const Duration when = sometime(), until = when + nature.UpTo(seconds(2));
    world.At(when, [&world, store] { world.CrashStore(store); });
    world.At(until, [&world, store] { world.StartStore(store); });
  }
  for (int i = 0; nature.by_hand > 0 && i < 12; ++i) {
    const size_t store = nature.Below(stores), n = nature.Below(4);
    const bool commit = nature.OneIn(2);
    world.At(sometime(), [&world, store, n, commit] { world.ResolveByHand(store, n, commit); });
  }
  if (nature.OneIn(3)) world.At(sometime(), [&world] { world.Recover(); });
  if (nature.OneIn(3)) world.At(sometime(), [&world] { world.List(); });
  if (nature.OneIn(3)) world.At(sometime(), [&world] { world.ForgetHeuristics(); });
  if (nature.OneIn(4)) world.At(sometime(), [&world] { world.Close(); });
  if (nature.OneIn(4)) {
    const int64_t jump = static_cast<int64_t>(nature.Below(20'000)) - 10'000;
    world.At(sometime(), [&world, jump] { world.JumpWallClock(jump); });
  }
  if (nature.OneIn(3)) {
    const Death death = nature.SomeDeath();
    world.At(sometime(), [&world, death] { world.Kill(death); });
  }
  world.RunFor(kLength);
}

}  // namespace indoubt::simulation
