// Every kind of fault that a scenario can name, in a short run over real stores: it is
// seen to act, it is healed, and the paths that promise consistency keep it.
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "experiments/summary/judgement.h"
#include "experiments/summary/summary.h"
#include "faults/servers.h"
#include "tests/experiments/run_fixture.h"

namespace indoubt {
namespace {

using nlohmann::json;

/// `fault`: the lines of its kind.
std::string ShortRun(const std::string& fault) {
  return R"(name = "short"
[matrix]
paths = ["2pc", "cdc"]
[load]
rate_per_s = 60
clients = 16
warmup = "500ms"
duration = "4s"
[[fault]]
at = "500ms"
down = "1500ms"
)" + fault;
}

struct FaultCase {
  const char* name;
  const char* fault;
  const char* target;  // as recorded
};

class FaultKindsTest : public RunTest, public testing::WithParamInterface<FaultCase> {};
using GivenServerTest = RunTest;
using NotApplicableTest = RunTest;
using InterruptedTest = RunTest;

std::string Replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

TEST_P(FaultKindsTest, IsSeenHealedAndLeavesTheStoresConsistent) {
  const auto scenario = ParseScenario(ShortRun(GetParam().fault), "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->status, "done") << ReadJson(result->folder + "/run.json").dump(1);
  for (const std::string& path : scenario->paths) {
    const json record = ReadJson(result->folder + "/cells/" + path + "/rep-1/rep.json");
    ASSERT_TRUE(record.is_object()) << path;
    ASSERT_EQ(record["faults"].size(), 1u) << path;
    const json& fault = record["faults"][0];
    EXPECT_TRUE(record["not_applicable"].is_null()) << record["not_applicable"];
    const bool own = std::string(GetParam().target) == "itself";
    const std::string victim = path == "2pc" ? "coordinator" : "cdc-worker";
    EXPECT_EQ(fault["target"], own ? victim : GetParam().target);
    ASSERT_TRUE(fault["observed_at_ns"].is_number()) << path;
    ASSERT_TRUE(fault["healed_at_ns"].is_number()) << path;
    EXPECT_GE(fault["healed_at_ns"].get<int64_t>() - fault["observed_at_ns"].get<int64_t>(),
              1'500'000'000);
    EXPECT_TRUE(record["final"]["inconsistent"].empty()) << path << record["final"].dump();
    EXPECT_TRUE(record["final"]["lost_acknowledged"].empty()) << path;
    EXPECT_TRUE(record["final"]["unwritable"].empty()) << path;
    EXPECT_EQ(record["final"]["recovery_idempotent"], true) << path;
  }
}

/// Each way to break something; at every store it can break, with INDOUBT_LONG=1.
std::vector<FaultCase> Cases() {
  std::vector<FaultCase> cases{
      {"RedisDies", "kind = \"store-kill\"\nstore = \"stock\"\n", "stock"},
      {"PostgresIsCutOff", "kind = \"store-partition\"\nstore = \"accounts\"\n", "accounts"},
      {"RedisIsSlow", "kind = \"store-slow\"\nstore = \"stock\"\nlatency = \"20ms\"\n",
       "stock"},
      {"SqliteIsLocked", "kind = \"store-lock\"\nstore = \"ledger\"\n", "ledger"},
      {"TheProcessStandsStill", "kind = \"pause\"\n", "itself"},
      {"TheLogsSyncFails", "kind = \"disk-error\"\n", "itself"},
      {"TheLedgersDiskIsFull", "kind = \"disk-full\"\nstore = \"ledger\"\n", "ledger"}};
  if (std::getenv("INDOUBT_LONG") != nullptr) {
    cases.push_back(
        {"PostgresDies", "kind = \"store-kill\"\nstore = \"accounts\"\n", "accounts"});
    cases.push_back(
        {"RedisIsCutOff", "kind = \"store-partition\"\nstore = \"stock\"\n", "stock"});
    cases.push_back({"PostgresIsSlow",
                     "kind = \"store-slow\"\nstore = \"accounts\"\nlatency = \"20ms\"\n",
                     "accounts"});
    cases.push_back({"TheLogIsSlow", "kind = \"disk-slow\"\nlatency = \"20ms\"\n", "itself"});
    cases.push_back({"RedisDiskIsFull", "kind = \"disk-full\"\nstore = \"stock\"\n", "stock"});
    cases.push_back({"RedisSyncFails", "kind = \"disk-error\"\nstore = \"stock\"\n", "stock"});
    cases.push_back(
        {"PostgresSyncFails", "kind = \"disk-error\"\nstore = \"accounts\"\n", "accounts"});
    cases.push_back({"PostgresDiskIsSlow",
                     "kind = \"disk-slow\"\nstore = \"accounts\"\nlatency = \"20ms\"\n",
                     "accounts"});
    cases.push_back(
        {"SqliteSyncFails", "kind = \"disk-error\"\nstore = \"ledger\"\n", "ledger"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Run, FaultKindsTest, testing::ValuesIn(Cases()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_F(NotApplicableTest, APathWithoutACounterpartRunsUndisturbedAndPassesNoExpectation) {
  const std::string text = R"(name = "short"
[matrix]
paths = ["raw", "dual-write"]
[load]
rate_per_s = 60
warmup = "100ms"
duration = "700ms"
[[fault]]
at = "100ms"
kind = "disk-error"
down = "300ms"
[[expect]]
check = "raw.inconsistent.permanent == 0"
)";
  const auto scenario = ParseScenario(text, "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_THAT(
      result->warnings,
      testing::Contains("raw: n/a: the fault disk-error does not apply to this path: it "
                        "keeps no log of its own; it ran undisturbed"));
  const auto summary = Summarise(result->folder);
  ASSERT_TRUE(summary) << summary.error().ToString();
  for (const json& cell : summary->at("cells")) {
    EXPECT_EQ(cell["reps"][0]["not_applicable"], "it keeps no log of its own");
    EXPECT_GT(cell["reps"][0]["committed"], 0);
  }
  EXPECT_EQ(summary->at("expect")[0]["verdict"], "no_data");
  EXPECT_THAT(summary->at("expect")[0]["reason"].get<std::string>(),
              testing::HasSubstr("raw is n/a: the fault does not apply"));
  EXPECT_EQ(Judge(*summary).exit_code(), 12);
}

TEST_F(InterruptedTest, ADiskIsWellAndTheCoordinatorThereWhenTheRunIsStoppedBeforeItsHealing) {
  const auto scenario =
      ParseScenario(Replaced(ShortRun("kind = \"disk-error\"\n"), "paths = [\"2pc\", \"cdc\"]",
                             "paths = [\"2pc\"]"),
                    "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  std::atomic<bool> stop{false};
  options_.stop = &stop;
  options_.progress = [&](const RunProgress& progress) {
    if (!progress.fault.empty()) stop = true;
  };
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->status, "interrupted");
  const json record = ReadJson(result->folder + "/cells/2pc/rep-1/rep.json");
  ASSERT_TRUE(record.is_object()) << ReadJson(result->folder + "/run.json").dump(1);
  ASSERT_TRUE(record["faults"][0]["healed_at_ns"].is_number());
  EXPECT_LT(record["faults"][0]["healed_at_ns"].get<int64_t>() -
                record["faults"][0]["observed_at_ns"].get<int64_t>(),
            1'500'000'000);
  EXPECT_TRUE(record["final"]["inconsistent"].empty()) << record["final"].dump();
  for (const auto& [where, count] : record["final"]["leftovers"].items()) {
    EXPECT_EQ(count, 0) << where;
  }
}

TEST_F(GivenServerTest, IsNotBroken) {
  const auto scenario =
      ParseScenario(ShortRun("kind = \"store-kill\"\nstore = \"stock\"\n"), "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const auto given = RedisServer::Start(folder_.path());
  ASSERT_TRUE(given) << given.error().ToString();
  options_.redis_uri = (*given)->uri();
  const auto result = RunScenario(*scenario, options_);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message(), testing::HasSubstr("leave --redis out"));
}

}  // namespace
}  // namespace indoubt
