// The verbs beside a running `serve`: through its control socket, with the same output
// and exit codes as without it.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/stat.h>

#include "tests/support/eventually.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kLimit = std::chrono::seconds(60);

class ControlSocket : public ::testing::Test {
 protected:
  void Serve(std::map<std::string, std::string> environment = {}) {
    server_ = stores_.Serve(std::move(environment));
    ASSERT_TRUE(server_->Running());
  }
  void StopServing() {
    server_->Signal(SIGTERM);
    const auto end = server_->Wait(SystemClock().Now() + kLimit);
    ASSERT_TRUE(end && !end->by_signal && end->code == 0);
  }
  Ran Run(std::vector<std::string> verb) {
    verb.insert(verb.end(), {"-c", stores_.config_path()});
    return stores_.Indoubt(verb);
  }
  /// Dies at `point`; the gid of what is in doubt then.
  std::string InDoubt(int64_t order, const std::string& point) {
    const Ran ran = stores_.Indoubt(stores_.OrderArguments(order),
                                    {{"INDOUBT_FAILPOINT", point + "=kill"}});
    EXPECT_TRUE(ran.DiedOf(SIGKILL)) << ran.err << ran.out;
    const std::string branch = stores_.AskPostgres("SELECT gid FROM pg_prepared_xacts");
    return branch.substr(4, branch.rfind(':') - 4);
  }
  std::string socket() const { return stores_.log_path() + "/control"; }

  Stores stores_;
  std::unique_ptr<Process> server_;
};

TEST_F(ControlSocket, EveryVerbWorksBesideServe) {
  const std::string heuristic = InDoubt(1, "voted");
  EXPECT_TRUE(Run({"txn", "commit", heuristic}).Exited(22));
  const Ran alone = Run({"txn", "list", "--json"});
  Serve();
  if (HasFatalFailure()) return;
  struct stat info {};
  ASSERT_EQ(stat(socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);

  const Ran ordered = stores_.Indoubt(stores_.OrderArguments(2));
  EXPECT_TRUE(ordered.Exited(0)) << ordered.err << ordered.out;
  const auto json = nlohmann::json::parse(ordered.out);
  EXPECT_EQ(json["outcome"], "committed");
  EXPECT_EQ(json["results"].size(), 5u);
  EXPECT_EQ(stores_.OrderIn(2), "111");

  const Ran listed = Run({"txn", "list", "--json"});
  EXPECT_TRUE(listed.Exited(22)) << listed.err;
  EXPECT_EQ(listed.out, alone.out) << "the same as without serve";
  const std::string gid = json["gid"];
  EXPECT_THAT(Run({"txn", "show", gid}).out, HasSubstr("committed"));
  EXPECT_TRUE(Run({"txn", "commit", gid}).Exited(0)) << "it is";
  EXPECT_TRUE(Run({"txn", "rollback", gid, "--force"}).Exited(3)) << "it is applied";
  EXPECT_TRUE(Run({"txn", "show", gid.substr(0, gid.size() - 1) + "999"}).Exited(2));
  EXPECT_TRUE(Run({"recover"}).Exited(22));
  EXPECT_TRUE(Run({"txn", "forget", heuristic}).Exited(0));
  EXPECT_TRUE(Run({"txn", "forget", heuristic}).Exited(2));
  const Ran recovered = Run({"recover", "--json"});
  EXPECT_TRUE(recovered.Exited(0)) << recovered.err;
  EXPECT_THAT(nlohmann::json::parse(recovered.out)["transactions"], IsEmpty());
  const Ran refused =
      Run({"exec", "--on", "accounts", "SELECT 1/0", "--on", "stock", "GET stock:42"});
  EXPECT_TRUE(refused.Exited(20)) << refused.err;
  StopServing();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

TEST_F(ControlSocket, VerbsTakeTheLogThemselvesWhenServeWasKilled) {
  Serve();
  if (HasFatalFailure()) return;
  server_->KillAndWait();
  EXPECT_TRUE(std::filesystem::exists(socket())) << "left behind";
  EXPECT_TRUE(Run({"txn", "list"}).Exited(0));
  EXPECT_TRUE(stores_.Indoubt(stores_.OrderArguments(1)).Exited(0));
  EXPECT_TRUE(Run({"recover"}).Exited(0));
  Serve();
  if (HasFatalFailure()) return;
  EXPECT_TRUE(stores_.Indoubt(stores_.OrderArguments(2)).Exited(0));
  EXPECT_EQ(stores_.OrderIn(2), "111");
}

TEST_F(ControlSocket, PathMayBeLongerThanASocketCanBear) {
  const std::string deep = stores_.folder() + "/" + std::string(120, 'd');
  std::filesystem::create_directory(deep);
  std::ofstream(stores_.config_path(), std::ios::app)
      << "[log]\npath = \"" << deep << "/decisions\"\n";
  Serve();
  if (HasFatalFailure()) return;
  EXPECT_TRUE(std::filesystem::exists(deep + "/decisions/control"));
  const Ran ordered = stores_.Indoubt(stores_.OrderArguments(1));
  EXPECT_TRUE(ordered.Exited(0)) << ordered.err << ordered.out;
}

TEST_F(ControlSocket, AHolderThatDoesNotServeIsNamedAfterTheTimeout) {
  // Holds the log while a prepare sleeps.
  std::vector<std::string> order = stores_.OrderArguments(1);
  Ran ran;
  std::thread holder([&] {
    ProcessSpec spec;
    spec.argv = {std::getenv("INDOUBT_BINARY")};
    spec.argv.insert(spec.argv.end(), order.begin(), order.end());
    spec.environment = {{"INDOUBT_FAILPOINT", "voted=sleep(6s)"}};
    spec.output_path = stores_.folder() + "/holder.err";
    auto process = Process::Start(spec);
    ASSERT_TRUE(process) << process.error().ToString();
    (*process)->Wait(SystemClock().Now() + kLimit);
  });
  EXPECT_TRUE(Eventually(
      [&] { return stores_.AskPostgres("SELECT count(*) FROM pg_prepared_xacts") == "1"; },
      kLimit));
  ran = Run({"txn", "list", "--timeout", "200ms"});
  EXPECT_TRUE(ran.Exited(3)) << ran.err << ran.out;
  EXPECT_THAT(ran.err, HasSubstr("is held by process"));
  const Ran waited = Run({"txn", "list", "--timeout", "30s"});
  EXPECT_TRUE(waited.Exited(0)) << waited.err;
  holder.join();
}

}  // namespace
}  // namespace indoubt::testing
