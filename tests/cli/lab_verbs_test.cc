// The laboratory's verbs as a user calls them: exit codes, what goes to stdout, errors.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class LabVerbsTest : public ::testing::Test {
 protected:
  CommandResult Indoubt(const std::string& arguments) {
    const char* binary = std::getenv("INDOUBT_BINARY");
    EXPECT_NE(binary, nullptr) << "ctest sets INDOUBT_BINARY";
    return RunCommand("cd '" + folder_.path() + "' && '" + binary + "' " + arguments);
  }
  /// A run of five repetitions whose commits take `slower` times as long.
  void Write(const std::string& name, double slower) {
    SampleRun sample = MakeSampleRun();
    for (const char* cell : {"2pc", "cdc", "dual-write"}) {
      for (int n = 2; n <= 5; ++n) sample.rep(cell, n);
    }
    for (SampleRep& rep : sample.reps) {
      for (json& operation : rep.files["ops.ndjson"]) {
        if (operation.at("outcome") != "committed") continue;
        const auto due = operation.at("intended_ns").get<int64_t>();
        const double took = static_cast<double>(operation.at("ended_ns").get<int64_t>() - due);
        operation["ended_ns"] = due + static_cast<int64_t>(took * (slower + 0.001 * rep.n));
      }
    }
    sample.Write(folder_.path() + "/" + name);
    std::ofstream(folder_.path() + "/" + name + "/scenario.toml") << "[load]\nclients = 32\n";
  }
  TemporaryFolder folder_;
};

TEST_F(LabVerbsTest, TheGateIsTenForWorseTwelveWithoutAnIntervalAndElseZero) {
  Write("base", 1);
  Write("same", 1);
  Write("slower", 1.2);
  EXPECT_EQ(Indoubt("compare base same --gate").exit_code, 0);
  EXPECT_EQ(Indoubt("compare base slower").exit_code, 0);  // it only tells
  const CommandResult worse = Indoubt("compare base slower --gate");
  EXPECT_EQ(worse.exit_code, 10) << worse.output;
  EXPECT_THAT(worse.output, HasSubstr("gate: something got worse beyond the noise"));
  MakeSampleRun().Write(folder_.path() + "/once");
  std::ofstream(folder_.path() + "/once/scenario.toml") << "[load]\nclients = 32\n";
  EXPECT_EQ(Indoubt("compare once once --gate").exit_code, 12);
}

TEST_F(LabVerbsTest, ComparisonsThatMakeNoSenseAreUsageErrors) {
  Write("base", 1);
  Write("other", 1);
  std::ofstream(folder_.path() + "/other/scenario.toml") << "[load]\nclients = 8\n";
  const CommandResult refused = Indoubt("compare base other");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("load.clients is 32 and 8"));
  EXPECT_EQ(Indoubt("compare base nothing --json").exit_code, 2);
}

TEST_F(LabVerbsTest, AComparisonAsJsonIsOneObject) {
  Write("base", 1);
  const CommandResult result = Indoubt("compare base base --json");
  const json comparison = json::parse(result.output, nullptr, false);
  ASSERT_TRUE(comparison.is_object()) << result.output;
  EXPECT_GT(comparison.at("lines").size(), 30U);
}

TEST_F(LabVerbsTest, ExplainTellsAStoryAndNamesWhatThereIsInstead) {
  Write("base", 1);
  EXPECT_THAT(Indoubt("explain base g1").output, HasSubstr("accounts: seen prepared"));
  EXPECT_THAT(Indoubt("explain base g1 --json").output, HasSubstr("{\"gid\":\"g1\","));
  const CommandResult unknown = Indoubt("explain base g2");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("no transaction 'g2'; this run recorded 1 gids"));
  EXPECT_THAT(Indoubt("explain none g1").output, HasSubstr("beside it there are base"));
}

TEST_F(LabVerbsTest, ALivePageWithoutItsPortEndsTheRunBeforeAnythingBegins) {
  const int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* where = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  ASSERT_EQ(bind(taken, where, length), 0);
  ASSERT_EQ(listen(taken, 1), 0);
  ASSERT_EQ(getsockname(taken, where, &length), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  const CommandResult refused = Indoubt("run quiet --live=" + port);
  close(taken);
  EXPECT_EQ(refused.exit_code, 3) << refused.output;
  EXPECT_THAT(refused.output, HasSubstr("127.0.0.1:" + port));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/runs"));
  EXPECT_EQ(Indoubt("run quiet --live=http").exit_code, 2);
  EXPECT_EQ(Indoubt("run quiet --live=70000").exit_code, 2);
  // The word after it is no port.
  const CommandResult unknown = Indoubt("run --live no-such-scenario");
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.output, HasSubstr("no-such-scenario"));
}

TEST_F(LabVerbsTest, ALivePageIsNotPromisedBeforeTheRunHasBeenChecked) {
  for (const char* arguments :
       {"run no-such-scenario --live", "run quiet --set load.clients=0 --live",
        "run --resume no-such-run --live", "run quiet --postgres hots=1 --live"}) {
    const CommandResult refused = Indoubt(arguments);
    EXPECT_EQ(refused.exit_code, 2) << arguments << refused.output;
    EXPECT_THAT(refused.output, Not(HasSubstr("live page"))) << arguments;
  }
}

TEST_F(LabVerbsTest, AConnectionStringThatIsNoneIsAUsageErrorOfEveryVerb) {
  std::ofstream(folder_.path() + "/c.toml")
      << "[coordinator]\nnode = \"a\"\n"
         "[participants.accounts]\nkind = \"postgres\"\ndsn = \"hots=/x\"\n"
         "[cdc]\nsource = \"accounts\"\ntables = [\"orders\"]\nslot = \"s\"\n"
         "log = { kind = \"sqlite\", path = \"events.db\" }\n"
         "[participants.ledger]\nkind = \"sqlite\"\npath = \"l.db\"\ntables = [\"t\"]\n"
         "[views.v]\nkind = \"sqlite\"\nsink = \"ledger\"\n";
  for (const char* verb : {"cdc status", "cdc audit", "cdc parked", "doctor", "recover"}) {
    const CommandResult refused = Indoubt(std::string(verb) + " -c c.toml");
    EXPECT_EQ(refused.exit_code, 2) << verb << ": " << refused.output;
    EXPECT_THAT(refused.output, HasSubstr("accounts")) << verb;
    EXPECT_THAT(refused.output, Not(HasSubstr("hots"))) << verb << ": it may hold a password";
  }
}

TEST_F(LabVerbsTest, ReportWritesTheIndexAndListRunsPrintsIt) {
  Write("base", 1);
  Write("later", 1);
  EXPECT_EQ(Indoubt("report base").exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/index.html")) << "no runs' folder";
  std::filesystem::create_directory_symlink("base", folder_.path() + "/latest");
  EXPECT_EQ(Indoubt("report base later").exit_code, 0);
  EXPECT_THAT(ReadText(folder_.path() + "/index.html"), HasSubstr("./later/report.html"));
  const CommandResult listed = Indoubt("list runs --out .");
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_THAT(listed.output, HasSubstr("2026-11-24T09:30:00.123Z  coordinator-crash"));
  EXPECT_THAT(listed.output, HasSubstr("base"));
  EXPECT_EQ(Indoubt("list runs --out none").exit_code, 2);
  EXPECT_THAT(Indoubt("list checks").output, HasSubstr("lost_acknowledged"));
}

TEST_F(LabVerbsTest, BeforeAnyRunThereIsNothingToListAndNothingWrong) {
  for (const char* verb : {"list runs", "list runs --out .", "list runs --json"}) {
    const CommandResult listed = Indoubt(std::string(verb) + "");
    EXPECT_EQ(listed.exit_code, 0) << verb;
    EXPECT_THAT(listed.output, HasSubstr("`indoubt run SCENARIO` makes one")) << verb;
  }
  EXPECT_EQ(Indoubt("list runs --json 2>/dev/null; exit $?").output, "");
}

TEST_F(LabVerbsTest, AStoppedRunIsListedAndReportedWithHowToCompleteIt) {
  SampleRun sample = MakeSampleRun();
  sample.run["status"] = "running";  // as a process that was ended at once leaves it
  sample.Write(folder_.path() + "/stopped");
  const CommandResult reported = Indoubt("report stopped");
  EXPECT_EQ(reported.exit_code, 0) << reported.output;
  EXPECT_THAT(reported.output, HasSubstr("to complete it: indoubt run --resume stopped"));
  EXPECT_THAT(ReadText(folder_.path() + "/stopped/report.md"),
              HasSubstr("the run was stopped before its end"));
  const CommandResult listed = Indoubt("list runs --out .");
  EXPECT_THAT(listed.output, HasSubstr("interrupted"));
  EXPECT_THAT(listed.output, HasSubstr("to complete it: indoubt run --resume ./stopped"));
  EXPECT_THAT(Indoubt("list runs --out . --json 2>/dev/null; exit $?").output,
              HasSubstr("\"resume\":\"indoubt run --resume ./stopped\""));
}

TEST_F(LabVerbsTest, SetUpErrorsOfARunAreJsonWhereJsonWasAskedFor) {
  const CommandResult failed = Indoubt("run nonesuch --json 2>/dev/null; exit $?");
  EXPECT_EQ(failed.exit_code, 2);
  const json error = json::parse(failed.output, nullptr, false);
  ASSERT_TRUE(error.is_object()) << failed.output;
  EXPECT_THAT(error.at("error").at("message").get<std::string>(), HasSubstr("nonesuch"));
  const CommandResult closed =
      Indoubt("run quiet --set load.rate_per_s=5 --json 2>/dev/null; exit $?");
  EXPECT_EQ(closed.exit_code, 2);
  EXPECT_THAT(closed.output, HasSubstr("load.rate_per_s: has no meaning in a closed loop"));
}

TEST_F(LabVerbsTest, AFolderIsNoScenario) {
  const CommandResult validated = Indoubt("validate .");
  EXPECT_EQ(validated.exit_code, 2);
  EXPECT_THAT(validated.output, HasSubstr(". is a folder; name a scenario's file"));
}

}  // namespace
}  // namespace indoubt
