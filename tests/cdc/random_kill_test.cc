// The worker is killed hundreds of times under load, at random moments and at every named
// fail point. Afterwards every derived row equals the source, and sums and counts show
// that no effect happened twice.
#include <csignal>
#include <cstdlib>
#include <map>
#include <random>

#include <fmt/format.h>

#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kSnapshotPoint = "cdc_snapshot_chunk";
constexpr const char* kAtRandom = "at a random moment";

std::vector<std::string> Points() {
  std::vector<std::string> points{kAtRandom};
  points.insert(points.end(), std::begin(kWorkerPoints), std::end(kWorkerPoints));
  return points;
}

class CdcRandomKillTest : public CdcKillFixture {
 protected:
  void KillAt(const std::string& point, uint64_t hit) {
    SCOPED_TRACE(fmt::format("seed {} kill {} at {}:{}", seed_, Kills() + 1, point, hit));
    const bool at_random = point == kAtRandom;
    const auto child = StartChild(at_random ? "" : fmt::format("{}:{}=kill", point, hit));
    ASSERT_TRUE(child);
    auto ended = child->Wait(SystemClock().Now() +
                             (at_random ? milliseconds(random_() % 200) : seconds(60)));
    if (at_random && !ended) {
      child->KillAndWait();
      ended = ExitState{true, SIGKILL};
    }
    ASSERT_TRUE(ended) << "never came to the fail point";
    ASSERT_TRUE(ended->by_signal && ended->code == SIGKILL) << ended->code << ChildOutput();
    ++kills_[point];
  }

  int Kills() const {
    int all = 0;
    for (const auto& [point, kills] : kills_) all += kills;
    return all;
  }

  const uint64_t seed_ = SeedOfThisRun();
  std::mt19937_64 random_{seed_};
  std::map<std::string, int> kills_;
  const std::vector<std::string> points_ = Points();
};

TEST_F(CdcRandomKillTest, UnderLoadEveryDerivedRowEqualsTheSourceAfterwards) {
  const bool whole = std::getenv("INDOUBT_LONG") != nullptr;
  const int kills = whole ? 500 : 40;
  const int snapshot_kills = whole ? 40 : 4;
  const int between_checks = whole ? 50 : 18;
  fmt::print("seed {}\n", seed_);
  Client().Run(
      fmt::format("INSERT INTO moves(item, amount) SELECT 'a' || n % 8, n FROM "
                  "generate_series(1, {}) n;",
                  snapshot_kills * 1600) +
      "UPDATE account SET balance = (SELECT sum(amount) FROM moves WHERE item = 'a' || id)");
  int64_t transactions = 0;
  while (Kills() < snapshot_kills && !HasFatalFailure()) {
    const SourceLoad load(postgres_->dsn(), /*two_phase=*/false, seed_);
    KillAt(kSnapshotPoint, 1 + random_() % 2);  // each goes on where the last one died
    transactions += load.ended();
  }
  {
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
  }
  size_t next = 0;
  while (Kills() < kills && !HasFailure()) {
    {
      const SourceLoad load(postgres_->dsn(), /*two_phase=*/true, seed_ + Kills());
      for (int i = 0; i < between_checks && Kills() < kills && !HasFatalFailure(); ++i) {
        KillAt(points_[next++ % points_.size()], 1 + random_() % 12);
      }
      transactions += load.ended();
    }
    if (HasFatalFailure()) return;
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
    if (whole) fmt::print("cdc kills: {} so far\n", Kills());
    std::fflush(stdout);
  }
  for (const auto& [point, count] : kills_) fmt::print("cdc kills: {} {}\n", count, point);
  fmt::print("cdc kills: {} under {} transactions of the source\n", Kills(), transactions);
  EXPECT_EQ(Kills(), kills);
  EXPECT_EQ(kills_.size(), points_.size() + 1);
  EXPECT_GT(transactions, 10 * kills);
}

}  // namespace
}  // namespace indoubt
