// What a program outside of this tree gets from `cmake --install`: installed once into a
// folder of its own, then found, compiled and run from there only.
#include <csignal>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kSource = INDOUBT_SOURCE_DIR;

Result<std::string> RunFor(std::chrono::seconds limit, std::vector<std::string> argv) {
  ProcessSpec spec;
  spec.argv = std::move(argv);
  return RunProgram(spec, SystemClock().Now() + limit);
}

/// What it said, whether it succeeded or not.
std::string SaidBy(const Result<std::string>& ran) {
  return ran ? *ran : ran.error().message();
}

class Install : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new ScratchFolder("indoubt-install");
    for (const char* component : {"development", "runtime"}) {
      const auto installed =
          RunFor(std::chrono::seconds(60), {INDOUBT_CMAKE, "--install", INDOUBT_BUILD_DIR,
                                            "--prefix", Prefix(), "--component", component});
      ASSERT_TRUE(installed) << installed.error().ToString();
    }
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }

  static std::string Prefix() { return scratch_->path() + "/prefix"; }
  static std::string BuildOf(const std::string& name) { return scratch_->path() + "/" + name; }

  /// Configures the project in `folder` of the source tree into BuildOf(name), with the
  /// installed library as the only place to look beside the system's.
  static Result<std::string> Configure(const std::string& folder, const std::string& name,
                                       const std::vector<std::string>& definitions = {}) {
    std::vector<std::string> argv{INDOUBT_CMAKE,
                                  "-G",
                                  "Ninja",
                                  "-S",
                                  kSource + "/" + folder,
                                  "-B",
                                  BuildOf(name),
                                  "-DCMAKE_PREFIX_PATH=" + Prefix(),
                                  std::string("-DCMAKE_CXX_COMPILER=") + INDOUBT_COMPILER};
    if (*INDOUBT_SANITIZERS != '\0') {
      argv.push_back(std::string("-DCMAKE_CXX_FLAGS=-fsanitize=") + INDOUBT_SANITIZERS);
    }
    for (const std::string& definition : definitions) argv.push_back("-D" + definition);
    return RunFor(std::chrono::seconds(60), argv);
  }
  static Result<std::string> Build(const std::string& name) {
    return RunFor(std::chrono::seconds(200), {INDOUBT_CMAKE, "--build", BuildOf(name)});
  }

  static ScratchFolder* scratch_;
};
ScratchFolder* Install::scratch_ = nullptr;

/// The example's program, its three stores and its log.
class Transfer : public Install {
 protected:
  void SetUp() override {
    const auto configured = Configure("examples/transfer", "transfer");
    ASSERT_TRUE(configured) << configured.error().ToString();
    const auto built = Build("transfer");
    ASSERT_TRUE(built) << built.error().ToString();
    before_ = Balance();
  }

  int64_t Balance() {
    return std::stoll(stores_.AskPostgres("SELECT balance FROM account WHERE id = 7"));
  }

  /// The transfer with this number; `failpoint` as INDOUBT_FAILPOINT.
  Ran Run(int number, const std::string& failpoint = "") {
    ProcessSpec spec;
    spec.argv = {BuildOf("transfer") + "/transfer",
                 stores_.postgres().dsn(),
                 stores_.redis().uri(),
                 stores_.sqlite_path(),
                 stores_.folder() + "/transfers",
                 std::to_string(number)};
    spec.environment = {{"INDOUBT_FAILPOINT", failpoint}};
    spec.output_path = stores_.folder() + "/transfer.out";
    std::remove(spec.output_path.c_str());
    auto process = Process::Start(spec);
    INDOUBT_CHECK(process.has_value(), process.error().ToString());
    Ran ran;
    ran.end = (*process)->Wait(SystemClock().Now() + std::chrono::seconds(60));
    (*process)->KillAndWait();
    ran.out = ReadText(spec.output_path);
    return ran;
  }

  /// All three stores hold exactly the transfers with these numbers, and nothing is left
  /// in doubt.
  void ExpectDone(const std::vector<int>& numbers) {
    const auto count = static_cast<int64_t>(numbers.size());
    EXPECT_EQ(before_ - Balance(), 5 * count);
    const std::string wallet = stores_.AskRedis({"GET", "wallet:7"});
    EXPECT_EQ(wallet, count == 0 ? "" : std::to_string(5 * count));
    EXPECT_EQ(stores_.AllOrders()[2], std::set<int64_t>(numbers.begin(), numbers.end()));
    EXPECT_EQ(stores_.Leftovers(), "");
  }

  Stores stores_;
  int64_t before_ = 0;
};

TEST_F(Transfer, CommitsInAllThreeStoresOrInNoneAndSettlesACrashAtTheNextStart) {
  const Ran first = Run(1);
  ASSERT_TRUE(first.Exited(0)) << first.out;
  EXPECT_THAT(first.out, ContainsRegex("committed transfer-1\\."));
  ExpectDone({1});

  const Ran again = Run(1);  // the ledger has that number: its key says no
  EXPECT_TRUE(again.Exited(1)) << again.out;
  EXPECT_THAT(again.out, HasSubstr("ledger"));
  ExpectDone({1});

  const Ran undecided = Run(2, "voted=kill");
  ASSERT_TRUE(undecided.DiedOf(SIGKILL)) << undecided.out;
  EXPECT_NE(stores_.Leftovers(), "");
  const Ran third = Run(3);
  ASSERT_TRUE(third.Exited(0)) << third.out;
  EXPECT_THAT(third.out, HasSubstr("in doubt from before: 0"));
  ExpectDone({1, 3});

  const Ran decided = Run(4, "decision_durable=kill");
  ASSERT_TRUE(decided.DiedOf(SIGKILL)) << decided.out;
  EXPECT_NE(stores_.Leftovers(), "");
  const Ran fifth = Run(5);
  ASSERT_TRUE(fifth.Exited(0)) << fifth.out;
  EXPECT_THAT(fifth.out, HasSubstr("in doubt from before: 0"));
  ExpectDone({1, 3, 4, 5});
}

TEST_F(Install, TheCoordinatorAloneKnowsNothingOfGrpcNorOfTheStores) {
  const auto configured =
      Configure("tests/install/alone", "alone", {"INDOUBT_TESTS=" + kSource + "/tests"});
  ASSERT_TRUE(configured) << configured.error().ToString();
  const auto built = Build("alone");
  ASSERT_TRUE(built) << built.error().ToString();
  const auto ran = RunFor(std::chrono::seconds(30), {BuildOf("alone") + "/alone"});
  ASSERT_TRUE(ran) << ran.error().ToString();
  EXPECT_THAT(*ran, HasSubstr("committed"));

  const auto linked = RunFor(std::chrono::seconds(30), {"ldd", BuildOf("alone") + "/alone"});
  ASSERT_TRUE(linked) << linked.error().ToString();
  EXPECT_THAT(*linked, HasSubstr("libstdc++"));
  const std::string cache = ReadText(BuildOf("alone") + "/CMakeCache.txt");
  const std::string rules = ReadText(BuildOf("alone") + "/build.ninja");
  EXPECT_THAT(cache, HasSubstr("fmt_DIR"));  // what was looked for does stand there
  EXPECT_THAT(rules, HasSubstr("libindoubt_coordinator.a"));
  for (const char* other : {"grpc", "gRPC", "protobuf", "Protobuf", "libpq", "PostgreSQL",
                            "hiredis", "sqlite", "SQLite"}) {
    EXPECT_THAT(*linked, Not(HasSubstr(other)));
    EXPECT_THAT(cache, Not(HasSubstr(other)));
    EXPECT_THAT(rules, Not(HasSubstr(other)));
  }
}

TEST_F(Install, TheServiceIsAComponentOfItsOwnAndBringsGrpc) {
  const auto configured = Configure("tests/install/served", "served");
  ASSERT_TRUE(configured) << configured.error().ToString();
  const auto built = Build("served");
  ASSERT_TRUE(built) << built.error().ToString();
  const auto ran = RunFor(std::chrono::seconds(30),
                          {BuildOf("served") + "/served", BuildOf("served") + "/socket"});
  ASSERT_TRUE(ran) << ran.error().ToString();
  EXPECT_THAT(*ran, HasSubstr("heard: hello"));
  const auto linked = RunFor(std::chrono::seconds(30), {"ldd", BuildOf("served") + "/served"});
  ASSERT_TRUE(linked) << linked.error().ToString();
  EXPECT_THAT(*linked, HasSubstr("libgrpc++"));
  EXPECT_THAT(ReadText(BuildOf("served") + "/CMakeCache.txt"), HasSubstr("gRPC_DIR"));
}

TEST_F(Install, AnAdapterOfOnesOwnPassesTheContractSuiteAndABrokenOneDoesNot) {
  const auto configured = Configure("tests/install/contract", "contract");
  ASSERT_TRUE(configured) << configured.error().ToString();
  const auto built = Build("contract");
  ASSERT_TRUE(built) << built.error().ToString();
  const std::string program = BuildOf("contract") + "/memory_contract_test";
  const auto ran = RunFor(std::chrono::seconds(100), {program});
  ASSERT_TRUE(ran) << ran.error().ToString();
  EXPECT_THAT(*ran, ContainsRegex("contract: ([0-9]+) of [0-9]+ cases of "
                                  "Memory/ParticipantContract passed against Memory 1; "
                                  "not applicable: no server: Commit"));
  EXPECT_THAT(*ran, HasSubstr("SKIPPED ] 1 test,")) << "and no other";
  const auto broken = RunFor(std::chrono::seconds(100), {"env", "BREAK_THE_PROMISE=1", program,
                                                         "--gtest_filter=*HeldOff*"});
  ASSERT_FALSE(broken) << *broken;
  EXPECT_THAT(SaidBy(broken), HasSubstr("OutsideWriterIsHeldOffUntilTheDecision"));
}

TEST_F(Install, EveryPublicHeaderCompilesByItself) {
  const auto configured = Configure("tests/install/headers", "headers");
  ASSERT_TRUE(configured) << configured.error().ToString();
  EXPECT_THAT(*configured, ContainsRegex("public headers: [1-9][0-9]"));
  const auto built = Build("headers");
  EXPECT_TRUE(built) << built.error().ToString();
}

TEST_F(Install, WhatIsMissingIsNamed) {
  struct Case {
    std::vector<std::string> definitions;
    const char* says;
  };
  const std::vector<Case> cases{
      {{"ASK=REQUIRED;COMPONENTS;coordinator;etcd"},
       "no component \"etcd\"; there are coordinator, recovery, postgres"},
      {{"ASK=REQUIRED;COMPONENTS;sqlite", "CMAKE_DISABLE_FIND_PACKAGE_SQLite3=ON"},
       "\"sqlite\" needs what was not found: SQLite3 .Debian: libsqlite3-dev"},
      {{"ASK=REQUIRED;COMPONENTS;redis", "CMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON"},
       "\"redis\" needs what was not found: pkg-config"},
      {{"ASK=REQUIRED;COMPONENTS;service", "CMAKE_DISABLE_FIND_PACKAGE_gRPC=ON"},
       "\"service\" needs what was not found: gRPC .Debian: libgrpc\\+\\+-dev"},
      {{"ASK=9.0;REQUIRED;COMPONENTS;coordinator"}, "requested version \"9.0\""}};
  for (size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].definitions[0]);
    const auto found =
        Configure("tests/install/find", fmt::format("missing-{}", i), cases[i].definitions);
    EXPECT_FALSE(found) << *found;
    // CMake breaks its messages into lines as it likes.
    std::string said = SaidBy(found);
    std::replace(said.begin(), said.end(), '\n', ' ');
    said.erase(std::unique(said.begin(), said.end(),
                           [](char a, char b) { return a == ' ' && b == ' '; }),
               said.end());
    EXPECT_THAT(said, ContainsRegex(cases[i].says));
  }
}

TEST_F(Install, AnOptionalComponentMayBeMissingAndNoneMeansTheCore) {
  const auto optional = Configure(
      "tests/install/find", "optional",
      {"ASK=0.1;REQUIRED;COMPONENTS;redis;OPTIONAL_COMPONENTS;sqlite;etcd",
       "CMAKE_DISABLE_FIND_PACKAGE_SQLite3=ON", "TELL=redis;sqlite;etcd;coordinator"});
  ASSERT_TRUE(optional) << optional.error().ToString();
  EXPECT_THAT(*optional, HasSubstr("redis: there"));
  EXPECT_THAT(*optional, HasSubstr("sqlite: not there"));
  EXPECT_THAT(*optional, HasSubstr("etcd: not there"));
  EXPECT_THAT(*optional, HasSubstr("coordinator: not there"));

  const auto core = Configure("tests/install/find", "core",
                              {"ASK=REQUIRED", "TELL=coordinator;recovery;postgres;service"});
  ASSERT_TRUE(core) << core.error().ToString();
  EXPECT_THAT(*core, HasSubstr("coordinator: there"));
  EXPECT_THAT(*core, HasSubstr("recovery: there"));
  EXPECT_THAT(*core, HasSubstr("postgres: not there"));
  EXPECT_THAT(*core, HasSubstr("service: not there"));
}

TEST_F(Install, TheBinaryRunsFromThereAndTheServicesSchemaIsBesideIt) {
  const auto ran = RunFor(std::chrono::seconds(30), {Prefix() + "/bin/indoubt", "--version"});
  ASSERT_TRUE(ran) << ran.error().ToString();
  EXPECT_THAT(*ran, HasSubstr("0.1"));
  EXPECT_THAT(ReadText(Prefix() + "/share/indoubt/proto/coordinator.proto"),
              HasSubstr("service "));
}

}  // namespace
}  // namespace indoubt::testing
