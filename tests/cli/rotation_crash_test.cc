// kill -9 while the decision log changes its segment under load: what was decided long
// before must have come along into the new segment, and nobody's order may be half there.
// Once with PostgreSQL as a participant like the others, once as a logged last resource:
// then end records fill the log, and a decision without an end must keep its row.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "coordinator/service.h"
#include "tests/support/order_load.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

/// More than fill the first segment, 256 KiB and as much again as twice what it carries.
constexpr int64_t kOrdersForARotation = 10'000;

class RotationCrash : public ::testing::TestWithParam<bool> {
 protected:
  RotationCrash() {
    stores_.SetLastResource(GetParam());
    stores_.AskSqlite(
        "PRAGMA journal_mode=WAL;"
        "CREATE TABLE entries (order_id INTEGER PRIMARY KEY)",
        archive_path());
    std::filesystem::copy_file(stores_.config_path(), three_stores_);
    std::filesystem::copy_file(stores_.config_path(), four_stores_);
    std::ofstream(four_stores_, std::ios::app)
        << "[participants.archive]\nkind = \"sqlite\"\npath = \"archive.db\"\n"
           "tables = [\"entries\"]\n";
  }

  std::string archive_path() { return stores_.folder() + "/archive.db"; }

  void Configure(const std::string& config) {
    std::filesystem::copy_file(config, stores_.config_path(),
                               std::filesystem::copy_options::overwrite_existing);
  }

  /// A commit that stays without an end as long as the archive is not configured.
  void LeaveDecisionOpen(int64_t order) {
    Configure(four_stores_);
    std::vector<std::string> arguments = stores_.OrderArguments(order);
    arguments.insert(arguments.end(), {"--on", "archive",
                                       fmt::format("INSERT INTO entries VALUES ({})", order)});
    const Ran ran =
        stores_.Indoubt(arguments, {{"INDOUBT_FAILPOINT", "decision_durable=kill"}});
    ASSERT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
    Configure(three_stores_);
  }

  void KillUnderLoad(const std::string& point, int64_t first) {
    const auto serve = stores_.Serve({{"INDOUBT_FAILPOINT", point + "=kill"}});
    ASSERT_TRUE(serve->Running()) << "died at its start, in no rotation";
    const auto client = ConnectExecutor(stores_.service_address());
    answers_ = RunOrders(*client, first, /*at_once=*/32, [&](int64_t order) {
      return order < first + kOrdersForARotation && serve->Running();
    });
    const auto died = serve->Wait(SystemClock().Now() + std::chrono::seconds(10));
    ASSERT_TRUE(died && died->by_signal && died->code == SIGKILL) << "no rotation was reached";
  }

  void RecoverAndCheck(int64_t decided) {
    Configure(four_stores_);
    const Ran recovered = stores_.Indoubt(recover_);
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
    const auto [accounts, stock, ledger] = stores_.AllOrders();
    EXPECT_EQ(accounts, stock);
    EXPECT_EQ(accounts, ledger);
    EXPECT_TRUE(accounts.contains(decided)) << "a decision did not come along";
    EXPECT_EQ(stores_.AskSqlite(
                  fmt::format("SELECT count(*) FROM entries WHERE order_id = {}", decided),
                  archive_path()),
              "1");
    for (const auto& [order, answer] : answers_) {
      const bool there = accounts.contains(order);
      EXPECT_FALSE(answer.outcome == Outcome::kCommitted && !there) << order << " was lost";
      EXPECT_FALSE(answer.outcome == Outcome::kRolledBack && there) << order << " came back";
    }
    EXPECT_EQ(stores_.Leftovers(), "");
    EXPECT_EQ(stores_.Unwritable(decided), "");
    const Ran again = stores_.Indoubt(recover_);
    EXPECT_NE(again.out.find(R"("committed":0,"rolled_back":0)"), std::string::npos)
        << again.out;
    fmt::print("rotation crash: {} orders committed so far\n", accounts.size());
  }

  Stores stores_;
  const std::string three_stores_ = stores_.folder() + "/three.toml";
  const std::string four_stores_ = stores_.folder() + "/four.toml";
  const std::vector<std::string> recover_{"recover", "-c", stores_.config_path(), "--json"};
  std::map<int64_t, TransactionOutcome> answers_;
};

// The start of a log makes and drops a segment, too: the second hit is the rotation's.
// Before a segment has its name the old one still counts, and everything is in that.
TEST_P(RotationCrash, DecisionsComeAlongAndNothingIsHalf) {
  int64_t order = 1;
  for (const std::string point :
       {"segment_synced:2", "checkpoint_written:2", "segment_opened:2", "segment_dropped:2"}) {
    SCOPED_TRACE(point);
    LeaveDecisionOpen(order);
    if (HasFatalFailure()) return;
    KillUnderLoad(point, order + 1);
    if (HasFatalFailure()) return;
    RecoverAndCheck(order);
    if (HasFatalFailure()) return;
    order += kOrdersForARotation + 1;
  }
}

INSTANTIATE_TEST_SUITE_P(Accounts, RotationCrash, ::testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AsLastResource" : "Prepared";
                         });

}  // namespace
}  // namespace indoubt::testing
