// Every kind of fault that a scenario can name, in a short run over real stores: it is
// seen to act, it is healed, and the paths that promise consistency keep it.
#include <cstdlib>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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
      {"TheProcessStandsStill", "kind = \"pause\"\n", "itself"}};
  if (std::getenv("INDOUBT_LONG") != nullptr) {
    cases.push_back(
        {"PostgresDies", "kind = \"store-kill\"\nstore = \"accounts\"\n", "accounts"});
    cases.push_back(
        {"RedisIsCutOff", "kind = \"store-partition\"\nstore = \"stock\"\n", "stock"});
    cases.push_back({"PostgresIsSlow",
                     "kind = \"store-slow\"\nstore = \"accounts\"\nlatency = \"20ms\"\n",
                     "accounts"});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Run, FaultKindsTest, testing::ValuesIn(Cases()),
                         [](const auto& each) { return std::string(each.param.name); });

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
