// SIGINT and SIGTERM at `exec` and `recover`, and requests that are asked again.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/syscall.h>

#include "tests/support/eventually.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kLimit = std::chrono::seconds(60);

class Interrupt : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { stores_ = new Stores; }
  static void TearDownTestSuite() {
    delete stores_;
    stores_ = nullptr;
  }
  void Start(std::vector<std::string> arguments,
             std::map<std::string, std::string> environment) {
    ProcessSpec spec;
    spec.argv = {std::getenv("INDOUBT_BINARY")};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.environment = std::move(environment);
    spec.output_path = stores_->folder() + "/interrupted.err";
    spec.stdout_path = stores_->folder() + "/interrupted.out";
    std::remove(spec.output_path.c_str());
    std::remove(spec.stdout_path.c_str());
    auto process = Process::Start(spec);
    ASSERT_TRUE(process) << process.error().ToString();
    process_ = std::move(*process);
  }
  /// Its exit code; -1 when it died of a signal or did not end.
  int Code() {
    const auto end = process_->Wait(SystemClock().Now() + kLimit);
    return end && !end->by_signal ? end->code : -1;
  }
  std::string Err() { return ReadText(stores_->folder() + "/interrupted.err"); }
  std::string Out() { return ReadText(stores_->folder() + "/interrupted.out"); }
  /// Whether a thread sleeps at its fail point: then all that comes before has happened.
  bool IsAtItsPoint() const {
    const std::string tasks = fmt::format("/proc/{}/task", process_->pid());
    std::error_code error;  // it may end meanwhile
    for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
      std::ifstream syscall(task.path() / "syscall");
      int number = -1;
      if (syscall >> number && number == SYS_clock_nanosleep) return true;
    }
    return false;
  }
  static Stores* stores_;
  std::unique_ptr<Process> process_;
};
Stores* Interrupt::stores_ = nullptr;

TEST_F(Interrupt, ExecThatWaitsIsRolledBack) {
  stores_->AskPostgres(
      "BEGIN; UPDATE account SET balance = balance; PREPARE TRANSACTION 'somebody-else'");
  std::vector<std::string> order = stores_->OrderArguments(1);
  order.insert(order.end(), {"--timeout", "60s"});
  Start(order, {});
  ASSERT_TRUE(Eventually(
      [] {
        return stores_->AskPostgres(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") ==
               "1";
      },
      kLimit));
  process_->Signal(SIGINT);
  EXPECT_EQ(Code(), 130) << Err();
  stores_->AskPostgres("ROLLBACK PREPARED 'somebody-else'");
  EXPECT_THAT(Err(), HasSubstr("rolled_back: interrupted"));
  EXPECT_EQ(nlohmann::json::parse(Out())["outcome"], "rolled_back");
  EXPECT_EQ(stores_->OrderIn(1), "000");
  // The statement that waited may still come to its end, and prepare late.
  EXPECT_TRUE(Eventually(
      [] {
        return stores_->Indoubt({"recover", "-c", stores_->config_path()}).Exited(0) &&
               stores_->Leftovers().empty();
      },
      kLimit));
}

TEST_F(Interrupt, CommitThatCompletesMeanwhileIsReportedAsSuch) {
  Start(stores_->OrderArguments(2), {{"INDOUBT_FAILPOINT", "voted=sleep(3s)"}});
  ASSERT_TRUE(Eventually([this] { return IsAtItsPoint(); }, kLimit));
  process_->Signal(SIGTERM);
  EXPECT_EQ(Code(), 0) << Err();
  EXPECT_THAT(Err(), HasSubstr("interrupted"));
  EXPECT_EQ(nlohmann::json::parse(Out())["outcome"], "committed");
  EXPECT_EQ(stores_->OrderIn(2), "111");
}

TEST_F(Interrupt, ExecWithoutAnOutcomeSaysHowItIsSettled) {
  Start(stores_->OrderArguments(3), {{"INDOUBT_FAILPOINT", "voted=sleep(30s)"}});
  ASSERT_TRUE(Eventually([this] { return IsAtItsPoint(); }, kLimit));
  process_->Signal(SIGINT);
  EXPECT_EQ(Code(), 130) << Err();
  const auto json = nlohmann::json::parse(Out());
  EXPECT_EQ(json["outcome"], "in_doubt");
  EXPECT_THAT(Err(), HasSubstr(std::string(json["gid"])));
  EXPECT_THAT(Err(), HasSubstr("indoubt recover"));
  EXPECT_TRUE(stores_->Indoubt({"recover", "-c", stores_->config_path()}).Exited(0));
  EXPECT_EQ(stores_->OrderIn(3), "000");
  EXPECT_EQ(stores_->Leftovers(), "");
}

TEST_F(Interrupt, ASecondSignalEndsAtOnce) {
  Start(stores_->OrderArguments(4), {{"INDOUBT_FAILPOINT", "voted=sleep(30s)"}});
  ASSERT_TRUE(Eventually([this] { return IsAtItsPoint(); }, kLimit));
  process_->Signal(SIGINT);
  ASSERT_TRUE(
      Eventually([this] { return Err().find("interrupted") != std::string::npos; }, kLimit));
  const TimePoint before = SystemClock().Now();
  process_->Signal(SIGINT);
  EXPECT_EQ(Code(), 130);
  EXPECT_LT(SystemClock().Now() - before, std::chrono::seconds(4)) << "it did not wait";
  EXPECT_TRUE(stores_->Indoubt({"recover", "-c", stores_->config_path()}).Exited(0));
}

TEST_F(Interrupt, RecoverSaysThatItCanBeRunAgain) {
  EXPECT_TRUE(stores_
                  ->Indoubt(stores_->OrderArguments(5),
                            {{"INDOUBT_FAILPOINT", "decision_durable=kill"}})
                  .DiedOf(SIGKILL));
  Start({"recover", "-c", stores_->config_path(), "--json"},
        {{"INDOUBT_FAILPOINT", "recovery_listed=sleep(30s)"}});
  // It holds the log, and has no branch to tell yet.
  ASSERT_TRUE(Eventually(
      [] {
        return stores_
            ->Indoubt({"txn", "list", "-c", stores_->config_path(), "--timeout", "1ms"})
            .Exited(3);
      },
      kLimit));
  process_->Signal(SIGINT);
  EXPECT_EQ(Code(), 130) << Err();
  EXPECT_THAT(Err(), HasSubstr("run it again"));
  EXPECT_EQ(nlohmann::json::parse(Out())["error"]["code"], "interrupted");
  EXPECT_TRUE(stores_->Indoubt({"recover", "-c", stores_->config_path()}).Exited(0));
  EXPECT_EQ(stores_->OrderIn(5), "111");
}

TEST_F(Interrupt, ErrorsAreJsonWhereJsonWasAskedFor) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"exec", "-c", "/nowhere.toml", "--json", "--on", "a", "b"},
        {"exec", "--json", "--frobnicate"},
        {"recover", "--json", "-c", "/nowhere.toml"},
        {"txn", "show", "nonsense", "--json", "-c", stores_->config_path()},
        {"txn", "forget", "shop-1.aaaaaaaaaa.1.1", "--json", "-c", stores_->config_path()}}) {
    SCOPED_TRACE(arguments[0] + " " + arguments[1]);
    const Ran ran = stores_->Indoubt(arguments);
    EXPECT_TRUE(ran.Exited(2)) << ran.err << ran.out;
    const auto json = nlohmann::json::parse(ran.out, nullptr, false);
    ASSERT_TRUE(json.is_object()) << ran.out;
    EXPECT_FALSE(std::string(json["error"]["code"]).empty());
    EXPECT_FALSE(std::string(json["error"]["message"]).empty());
  }
}

TEST_F(Interrupt, ARequestThatIsAskedAgainIsNotDoneTwice) {
  std::vector<std::string> order = stores_->OrderArguments(6);
  order.insert(order.end(), {"--id", "order:6"});
  // Dies before anybody has heard of the commit, and is asked again by whoever waited.
  EXPECT_TRUE(stores_->Indoubt(order, {{"INDOUBT_FAILPOINT", "decision_durable=kill"}})
                  .DiedOf(SIGKILL));
  const Ran meanwhile = stores_->Indoubt(order);
  EXPECT_TRUE(meanwhile.Exited(21)) << meanwhile.err << meanwhile.out;
  const std::string gid = nlohmann::json::parse(meanwhile.out)["gid"];
  EXPECT_TRUE(stores_->Indoubt({"recover", "-c", stores_->config_path()}).Exited(0));
  for (int i = 0; i < 2; ++i) {
    const Ran again = stores_->Indoubt(order);
    EXPECT_TRUE(again.Exited(0)) << again.err << again.out;
    const auto json = nlohmann::json::parse(again.out);
    EXPECT_EQ(json["gid"], gid);
    EXPECT_EQ(json["asked_before"], true);
  }
  const Ran other = stores_->Indoubt({"exec", "-c", stores_->config_path(), "--id", "order:6",
                                      "--on", "accounts", "SELECT 1"});
  EXPECT_TRUE(other.Exited(2)) << other.err << other.out;
  EXPECT_THAT(other.err, HasSubstr("request order:6 is transaction " + gid));
  EXPECT_EQ(stores_->OrderIn(6), "111");
  EXPECT_EQ(stores_->Unbalanced(), "");
  EXPECT_TRUE(stores_
                  ->Indoubt({"exec", "-c", stores_->config_path(), "--id", "no spaces", "--on",
                             "accounts", "SELECT 1"})
                  .Exited(2));
}

TEST_F(Interrupt, ReturnDecidedIsAppliedByTheTimeExecEnds) {
  std::vector<std::string> order = stores_->OrderArguments(7);
  order.insert(order.end(), {"--return", "decided"});
  const Ran ran = stores_->Indoubt(order);
  EXPECT_TRUE(ran.Exited(0)) << ran.err << ran.out;
  EXPECT_EQ(stores_->OrderIn(7), "111");
  EXPECT_EQ(stores_->Leftovers(), "");
}

TEST_F(Interrupt, TheGidIsKnownThoughTheServersAnswerWasLost) {
  auto server = stores_->Serve({{"INDOUBT_FAILPOINT", "decision_durable=kill"}});
  ASSERT_TRUE(server->Running());
  std::vector<std::string> order = stores_->OrderArguments(8);
  order.insert(order.end(), {"--server", stores_->service_address()});
  const Ran ran = stores_->Indoubt(order);
  EXPECT_TRUE(ran.Exited(21)) << ran.err << ran.out;
  const std::string gid = nlohmann::json::parse(ran.out)["gid"];
  EXPECT_NE(gid, "");
  EXPECT_TRUE(stores_->Indoubt({"txn", "commit", gid, "-c", stores_->config_path()}).Exited(0));
  EXPECT_EQ(stores_->OrderIn(8), "111");
}

}  // namespace
}  // namespace indoubt::testing
