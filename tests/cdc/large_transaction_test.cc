// Transactions that are too large for one event: in parts on the way, whole in the views.
#include <atomic>
#include <csignal>
#include <thread>

#include <fmt/format.h>

#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

constexpr int kRows = 60'000;

class CdcLargeTransactionTest : public CdcKillFixture {
 protected:
  void WriteLarge() const {
    Client().Run(
        fmt::format("INSERT INTO moves(item, amount) SELECT 'i' || n % 7 || "
                    "repeat('x', 200), n FROM generate_series(1, {}) n",
                    kRows));
  }
  std::string InEvents(const std::string& what, const std::string& where) const {
    return SqliteOne(Options().event_log_path,
                     fmt::format("SELECT {} FROM events WHERE {}", what, where));
  }
};

TEST_F(CdcLargeTransactionTest, ComesInPartsAndIsSeenAsAWhole) {
  const CdcOptions options = AllOptions();
  const auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  Client().Run("INSERT INTO moves(item, amount) VALUES ('first', 1)");
  ExpectEverythingEqualsSource();
  std::atomic<bool> stop{false};
  std::string partial;
  std::thread reader([&] {
    while (!stop) {
      const std::string count = SqliteOne(rows_path_, "SELECT count(*) FROM moves");
      if (count != "1" && count != std::to_string(kRows + 1)) partial = count;
    }
  });
  WriteLarge();
  ExpectEverythingEqualsSource();
  stop = true;
  reader.join();
  EXPECT_EQ(partial, "") << "a reader saw a part of it";
  EXPECT_GT(std::stoi(InEvents("count(*)", "ordinal > 4294967296")), 5);
  EXPECT_TRUE((*worker)->health().ok()) << (*worker)->health().ToString();
}

TEST_F(CdcLargeTransactionTest, IsNeitherLostNorRepeatedWhereverTheWorkerDiesBetweenItsParts) {
  Client().Run("INSERT INTO moves(item, amount) VALUES ('first', 1)");
  {
    const auto first = StartChild("");
    ExpectEverythingEqualsSource();
    first->KillAndWait();
  }
  for (const char* point : {"cdc_decoded:5", "cdc_appended", "cdc_appended:3",
                            "cdc_applied@rows_table", "cdc_applied@cache"}) {
    SCOPED_TRACE(point);
    WriteLarge();
    const auto child = StartChild(std::string(point) + "=kill");
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(60));
    ASSERT_TRUE(ended && ended->by_signal && ended->code == SIGKILL) << ChildOutput();
    const auto next = StartChild("");
    ExpectEverythingEqualsSource();
    next->KillAndWait();
  }
}

}  // namespace
}  // namespace indoubt
