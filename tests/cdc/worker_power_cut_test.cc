// Power cuts under the worker: it is killed under load at a fail point, and the files of
// its event log and of its SQLite views are set back to what had been synced, with and
// without a torn rest. kill -9 alone proves no durability: the page cache survives it.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>

#include <fmt/format.h>

#include "tests/cdc/kill_fixture.h"
#include "tests/support/strace_images.h"

namespace indoubt {
namespace {

using testing::DurableFiles;

std::vector<std::string> Points() {
  std::vector<std::string> points(std::begin(kWorkerPoints), std::end(kWorkerPoints));
  points.insert(points.end(), {"cdc_log_removing", "cdc_log_removed"});
  return points;
}

class CdcPowerCutTest : public CdcKillFixture {
 protected:
  // The files that are cut lie in a folder of their own: the servers keep theirs.
  void SetUp() override {
    std::filesystem::create_directory(files_);
    sqlite_path_ = files_ + "/view.db";
    rows_path_ = files_ + "/rows.db";
    event_log_path_ = files_ + "/events.db";
    CdcKillFixture::SetUp();
    retention_ = "1ms";
  }

  void CutAt(const std::string& point, DurableFiles::Tail tail) {
    std::filesystem::remove(trace_);
    DurableFiles durable(files_, "");
    const auto child = StartChild(point + "=kill", testing::StraceCommand(trace_));
    ASSERT_TRUE(child);
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(60));
    ASSERT_TRUE(ended) << "never came to the fail point";
    ASSERT_TRUE(ended->by_signal && ended->code == SIGKILL) << ended->code << ChildOutput();
    ASSERT_TRUE(Eventually([&] { return testing::TraceHasEnded(trace_); }));
    const Status replayed = durable.Replay(trace_);
    ASSERT_TRUE(replayed.ok()) << replayed.ToString();
    unsynced_ += durable.UnsyncedWrites();
    durable.Restore(tail, random_);
    for (const char* file :
         {"/view.db-shm", "/rows.db-shm", "/rows.db.search-shm", "/events.db-shm"}) {
      std::filesystem::remove(files_ + file);  // shared memory is no file of the disk
    }
  }

  const uint64_t seed_ = SeedOfThisRun();
  std::mt19937_64 random_{seed_};
  const std::string files_ = folder_.path() + "/cut";
  const std::string trace_ = folder_.path() + "/worker.strace";
  size_t unsynced_ = 0;
};

TEST_F(CdcPowerCutTest, NothingConfirmedIsLostAndNothingIsAppliedTwice) {
  const bool whole = std::getenv("INDOUBT_LONG") != nullptr;
  const int images = whole ? 100 : 14;
  const int between_checks = whole ? 10 : 7;
  fmt::print("seed {}\n", seed_);
  Client().Run("INSERT INTO moves(item, amount) VALUES ('b', 1)");
  {
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
  }
  const std::vector<std::string> points = Points();
  int image = 0;
  while (image < images && !HasFailure()) {
    {
      const SourceLoad load(postgres_->dsn(), /*two_phase=*/true, seed_ + image);
      for (int i = 0; i < between_checks && image < images && !HasFatalFailure();
           ++i, ++image) {
        const std::string point =
            fmt::format("{}:{}", points[image % points.size()], 1 + random_() % 12);
        SCOPED_TRACE(fmt::format("seed {} image {} at {}", seed_, image, point));
        CutAt(point, image % 2 ? DurableFiles::Tail::kTorn : DurableFiles::Tail::kDropped);
      }
    }
    if (HasFatalFailure()) return;
    const auto child = StartChild("");
    ExpectEverythingEqualsSource();
  }
  fmt::print("cdc power cut: {} images, {} unsynced writes cut\n", image, unsynced_);
  EXPECT_EQ(image, images);
  EXPECT_GT(unsynced_, 0u);
}

}  // namespace
}  // namespace indoubt
