// The disk of the decision log gives out: it is full, the process may write no larger
// file, its sync fails. The log stops, what it was asked last is in doubt and keeps its
// branches, nothing that was acknowledged is missing, and with the disk well again a
// restart goes on. Where PostgreSQL is a logged last resource, the log holds end records
// only: then a log that stops leaves nobody in doubt, and what it does not know to have
// ended keeps its decision row.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "coordinator/service.h"
#include "faults/process.h"
#include "recovery/file_log.h"
#include "tests/support/eventually.h"
#include "tests/support/order_load.h"
#include "tests/support/read_text.h"
#include "tests/support/small_disk.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Answers = std::map<int64_t, TransactionOutcome>;

constexpr size_t kSmallDiskBytes = 1 << 20;
constexpr size_t kSmallDiskForEndRecordsBytes = 640 << 10;  // of which it takes more
constexpr auto kEndLimit = std::chrono::seconds(30);

/// IndependentOrder over the two stores that are processes of their own: whatever the
/// coordinator's process writes and syncs then is its log.
TransactionRequest OrderWithoutLedger(int64_t order) {
  TransactionRequest request = IndependentOrder(order);
  std::erase_if(request.statements,
                [](const auto& each) { return each.participant == "ledger"; });
  return request;
}

class FullDiskTest : public ::testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    const Status own = EnterOwnMounts();
    ASSERT_TRUE(own.ok()) << own.ToString();
  }

  void SetUp() override {
    std::filesystem::create_directory(disk_);
    stores_.SetLastResource(LastResource());
    std::ofstream(stores_.config_path(), std::ios::app)
        << fmt::format("[log]\nkind = \"file\"\npath = \"{}/decisions\"\n", disk_);
  }

  static bool LastResource() { return GetParam(); }

  std::vector<std::string> Limited(int kibibytes) const {
    return {"bash", "-c", fmt::format("ulimit -f {}; exec \"$@\"", kibibytes), "bash"};
  }

  /// Sends orders until the service ends by itself.
  Answers RunUntilItStops(Process& serve, int64_t first,
                          const std::function<TransactionRequest(int64_t)>& request) {
    const auto client = ConnectExecutor(stores_.service_address());
    return RunOrders(
        *client, first, /*at_once=*/16, [&](int64_t) { return serve.Running(); }, request);
  }

  /// It ended in order and said why, and whoever was in doubt still is, everywhere.
  void CheckThatItStopped(Process& serve, const Answers& answers, const std::string& why) {
    const auto end = serve.Wait(SystemClock().Now() + kEndLimit);
    ASSERT_TRUE(end.has_value()) << "serve goes on";
    const std::string said = ReadText(stores_.folder() + "/serve.log");
    EXPECT_FALSE(end->by_signal) << "signal " << end->code << "\n" << said;
    EXPECT_EQ(end->code, 3) << said;
    EXPECT_THAT(said, HasSubstr(why));
    EXPECT_THAT(said, HasSubstr(disk_ + "/decisions/segment"));
    EXPECT_THAT(said, HasSubstr("then start again"));
    int in_doubt = 0, committed = 0;
    for (const auto& [order, answer] : answers) {
      committed += answer.outcome == Outcome::kCommitted ? 1 : 0;
      // Without a gid the answer was lost with the connection.
      if (answer.outcome != Outcome::kInDoubt || answer.gid.empty()) continue;
      ++in_doubt;
      EXPECT_THAT(answer.reason, HasSubstr(why));
      EXPECT_EQ(
          stores_.AskPostgres(fmt::format(
              "SELECT count(*) FROM pg_prepared_xacts WHERE gid LIKE 'idt:{}:%'", answer.gid)),
          "1")
          << answer.gid << " was rolled back";
    }
    EXPECT_GT(committed, 0);
    if (LastResource()) {
      EXPECT_EQ(in_doubt, 0) << "no decision needs the log";
      EXPECT_GT(stores_.DecisionRows("commit"), 0) << "the end of none is durable";
    } else {
      EXPECT_GT(in_doubt, 0);
    }
    fmt::print("{}: {} committed, {} in doubt of {} asked\n", why, committed, in_doubt,
               answers.size());
  }

  /// The disk is well again: recovery settles everything, and keeps what was acknowledged.
  void RecoverAndCheck(const Answers& answers, bool with_ledger) {
    const Ran recovered = stores_.Indoubt(recover_);
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
    const auto [accounts, stock, ledger] = stores_.AllOrders();
    EXPECT_EQ(accounts, stock);
    EXPECT_TRUE(!with_ledger || accounts == ledger);
    for (const auto& [order, answer] : answers) {
      const bool there = accounts.contains(order);
      EXPECT_FALSE(answer.outcome == Outcome::kCommitted && !there) << order << " was lost";
      EXPECT_FALSE(answer.outcome == Outcome::kRolledBack && there) << order << " came back";
    }
    EXPECT_EQ(stores_.Leftovers(), "");
    const int64_t next = 1'000'000;
    const Ran ordered = stores_.Indoubt(stores_.OrderArguments(next));
    EXPECT_TRUE(ordered.Exited(0)) << ordered.err;
    EXPECT_EQ(stores_.OrderIn(next), "111");
  }

  /// A start without room for its segment: nothing is begun, nothing is left on the disk.
  void ExpectNoStart(const std::vector<std::string>& arguments, const std::string& why,
                     const std::vector<std::string>& wrapper = {}) {
    const Ran ran = stores_.Indoubt(arguments, {}, wrapper);
    EXPECT_TRUE(ran.Exited(3)) << ran.err << ran.out;
    EXPECT_THAT(ran.err, HasSubstr(why));
    EXPECT_THAT(ran.err, HasSubstr(disk_ + "/decisions/segment"));
    EXPECT_THAT(ran.err, HasSubstr("then start again"));
    EXPECT_FALSE(std::filesystem::exists(disk_ + "/decisions/segment.new"));
  }

  Stores stores_;
  const std::string disk_ = stores_.folder() + "/disk";
  const std::vector<std::string> recover_{"recover", "-c", stores_.config_path(), "--json"};
};

TEST_P(FullDiskTest, FileSystemThatFillsUpStopsTheLogUntilThereIsSpace) {
  const SmallDisk small(disk_, LastResource() ? kSmallDiskForEndRecordsBytes : kSmallDiskBytes);
  const std::string full = "No space left on device";
  const auto serve = stores_.Serve();
  ASSERT_TRUE(serve->Running()) << ReadText(stores_.folder() + "/serve.log");
  const Answers answers = RunUntilItStops(*serve, 1, IndependentOrder);
  CheckThatItStopped(*serve, answers, full);
  FillUp(disk_ + "/filler");
  ExpectNoStart(stores_.OrderArguments(999'999), full);
  EXPECT_EQ(stores_.OrderIn(999'999), "000");
  ExpectNoStart(recover_, full);
  std::filesystem::remove(disk_ + "/filler");
  RecoverAndCheck(answers, true);
}

TEST_P(FullDiskTest, LimitOnFileSizeIsAnErrorAndNotADeathBySignal) {
  const std::string too_large = "File too large";
  ExpectNoStart(stores_.OrderArguments(999'999), too_large, Limited(100));
  EXPECT_EQ(stores_.OrderIn(999'999), "000");
  const auto serve = stores_.Serve({}, Limited(400));  // the first segment fits
  ASSERT_TRUE(serve->Running()) << ReadText(stores_.folder() + "/serve.log");
  const Answers answers = RunUntilItStops(*serve, 1, OrderWithoutLedger);
  CheckThatItStopped(*serve, answers, too_large);
  RecoverAndCheck(answers, false);
}

// libfiu's preloaded library stands before the C library's fdatasync, and its control
// pipe arms it while the service runs.
constexpr const char* kFailSync = "enable name=posix/io/sync/fdatasync,failinfo=5";  // EIO

TEST_P(FullDiskTest, SyncThatFailsLeavesInDoubtWhatItWasToDecide) {
  const std::string error = "Input/output error";
  ExpectNoStart(stores_.OrderArguments(999'999), error,
                {"fiu-run", "-x", "-f", "", "-c", kFailSync});
  EXPECT_EQ(stores_.OrderIn(999'999), "000");

  const std::string control = stores_.folder() + "/fiu";
  const auto serve = stores_.Serve({}, {"fiu-run", "-x", "-f", control});
  ASSERT_TRUE(serve->Running()) << ReadText(stores_.folder() + "/serve.log");
  Answers answers = RunOrders(
      *ConnectExecutor(stores_.service_address()), 1, 4,
      [](int64_t order) { return order <= 20; }, OrderWithoutLedger);
  // No sync of end records shall take the error that is meant for the decision's.
  ASSERT_TRUE(Eventually([&] {
    const auto shown = InspectLog(PosixFileSystem(), disk_ + "/decisions");
    return shown && std::count_if(shown->begin(), shown->end(), [](const auto& record) {
                      return record.kind == "end";
                    }) == 20;
  }));
  const auto armed = RunProgram(
      {.argv = {"fiu-ctrl", "-f", control, "-c", kFailSync, std::to_string(serve->pid())}},
      SystemClock().Now() + kEndLimit);
  ASSERT_EQ(armed.value_or("failed"), "");
  const Ran ran = stores_.Indoubt({"exec", "--server", stores_.service_address(), "--json",
                                   "--on", "accounts", "INSERT INTO orders VALUES (21, 7)",
                                   "--on", "stock", "SET reserved:21 1"});
  ASSERT_TRUE(ran.Exited(LastResource() ? 0 : 21)) << ran.err << ran.out;
  const auto answer = nlohmann::json::parse(ran.out);
  EXPECT_EQ(answer["outcome"], LastResource() ? "committed" : "in_doubt");
  answers[21] = {.gid = answer["gid"],
                 .outcome = LastResource() ? Outcome::kCommitted : Outcome::kInDoubt};
  if (!LastResource()) answers[21].reason = answer["reason"].get<std::string>();
  CheckThatItStopped(*serve, answers, error);
  RecoverAndCheck(answers, false);
}

INSTANTIATE_TEST_SUITE_P(Accounts, FullDiskTest, ::testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AsLastResource" : "Prepared";
                         });

}  // namespace
}  // namespace indoubt::testing
