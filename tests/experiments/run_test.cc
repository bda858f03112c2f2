// A whole run, short, and what it leaves behind.
#include "experiments/run.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "experiments/summary/summary.h"
#include "tests/experiments/run_fixture.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr const char* kShort = R"(name = "short"
question = "?"
[matrix]
paths = ["2pc", "cdc", "dual-write"]
[load]
rate_per_s = 60
clients = 16
warmup = "500ms"
duration = "4s"
[[fault]]
at = "500ms"
kind = "kill"
point = { 2pc = "voted@ledger", cdc = "cdc_appended", dual-write = "dual_write_first@ledger" }
down = "1500ms"
)";

std::vector<json> ReadLines(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

/// Every commit's answer names three yes votes; the log still has those since the restart.
void ExpectVotesAndDecisions(const std::string& rep) {
  std::set<std::string> committed, logged;
  for (const json& line : ReadLines(rep + "/ops.ndjson")) {
    if (line["outcome"] != "committed") continue;
    committed.insert(line["gid"].get<std::string>());
    ASSERT_EQ(line["participants"].size(), line["op"] == "place_order" ? 3u : 2u);
    for (const json& one : line["participants"]) EXPECT_EQ(one["vote"], "yes");
  }
  for (const json& line : ReadLines(rep + "/decisions.ndjson")) {
    if (line["kind"] == "commit") logged.insert(line["gid"].get<std::string>());
  }
  EXPECT_FALSE(logged.empty());
  EXPECT_TRUE(std::includes(committed.begin(), committed.end(), logged.begin(), logged.end()));
}

/// Each phase once and in order, and the fault of rep.json at the times that it has there.
void ExpectPhasesAndFault(const std::string& rep, const json& fault) {
  std::vector<std::string> phases;
  std::map<std::string, json> faults;
  for (const json& line : ReadLines(rep + "/events.ndjson")) {
    if (line["event"] == "phase") {
      phases.push_back(line["phase"]);
    } else {
      EXPECT_EQ(line["target"], fault["target"]);
      faults[line["event"]] = line["at_ns"];
    }
  }
  EXPECT_THAT(phases, testing::ElementsAre("stores", "warmup", "measure", "drain", "compare"));
  EXPECT_EQ(faults["fault_requested"], fault["requested_at_ns"]);
  EXPECT_EQ(faults["fault_observed"], fault["observed_at_ns"]);
  EXPECT_EQ(faults["fault_healed"], fault["healed_at_ns"]);
}

TEST_F(RunTest, EveryPathDiesHealsAndLeavesItsRecords) {
  const auto scenario = ParseScenario(kShort, "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  std::vector<std::string> events;
  options_.progress = [&](const RunProgress& progress) {
    if (!progress.event.empty()) events.push_back(progress.cell + ": " + progress.event);
  };
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->status, "done");
  EXPECT_THAT(result->warnings,
              testing::Not(testing::Contains(testing::HasSubstr("observer"))));
  EXPECT_THAT(events,
              testing::IsSupersetOf({"2pc: coordinator killed", "2pc: coordinator restarted",
                                     "cdc: cdc-worker killed", "dual-write: client killed"}));
  const json run = ReadJson(result->folder + "/run.json");
  EXPECT_EQ(run["reproduce"], "indoubt run 'short file.toml' --seed 42");
  EXPECT_TRUE(std::filesystem::equivalent(options_.out_folder + "/latest", result->folder));
  const json env = ReadJson(result->folder + "/env.json");
  EXPECT_TRUE(env["versions"]["postgres"].is_string());
  EXPECT_EQ(env["durability"]["sqlite"], "WAL synchronous=FULL");
  std::map<std::string, size_t> inconsistent;
  for (const std::string& path : scenario->paths) {
    const std::string rep = result->folder + "/cells/" + path + "/rep-1";
    const json record = ReadJson(rep + "/rep.json");
    ASSERT_TRUE(record.is_object()) << rep;
    ASSERT_EQ(record["faults"].size(), 1u) << path;
    const json& fault = record["faults"][0];
    EXPECT_GE(fault["healed_at_ns"].get<int64_t>() - fault["observed_at_ns"].get<int64_t>(),
              1'500'000'000);
    ExpectPhasesAndFault(rep, fault);
    inconsistent[path] = record["final"]["inconsistent"].size();
    EXPECT_TRUE(record["final"]["unwritable"].empty());
    EXPECT_GT(ReadLines(rep + "/ops.ndjson").size(), 150u);
    EXPECT_FALSE(ReadLines(rep + "/blocked.ndjson").empty());
    EXPECT_FALSE(ReadLines(rep + "/lag.ndjson").empty());
    EXPECT_FALSE(ReadLines(rep + "/reads.ndjson").empty());
    EXPECT_GT(ReadLines(rep + "/timeline.ndjson").size(), 30u);
    EXPECT_EQ(std::filesystem::exists(rep + "/in_doubt.ndjson"), path == "2pc");
    EXPECT_EQ(std::filesystem::exists(rep + "/decisions.ndjson"), path == "2pc");
  }
  EXPECT_EQ(inconsistent["2pc"], 0u);
  EXPECT_EQ(inconsistent["cdc"], 0u);
  EXPECT_GT(inconsistent["dual-write"], 0u);
  int64_t longest = 0;
  for (const json& line : ReadLines(result->folder + "/cells/2pc/rep-1/in_doubt.ndjson")) {
    longest = std::max(
        longest, line["last_seen_ns"].get<int64_t>() - line["first_seen_ns"].get<int64_t>());
  }
  EXPECT_GE(longest, 1'400'000'000);
  ExpectVotesAndDecisions(result->folder + "/cells/2pc/rep-1");
  const auto summary = Summarise(result->folder);
  EXPECT_TRUE(summary) << summary.status().ToString();
}

TEST_F(RunTest, StoppedEarlyItSavesWhatItHas) {
  const std::vector<std::string> overrides{"matrix.paths=[\"raw\", \"2pc-embedded\"]"};
  const auto scenario = ParseScenario(kShort, "short.toml", overrides);
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  std::atomic<bool> stop{false};
  options_.stop = &stop;
  options_.progress = [&](const RunProgress& progress) {
    if (progress.phase == "measure" && progress.committed > 20) stop = true;
  };
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  EXPECT_EQ(result->status, "interrupted");
  const json run = ReadJson(result->folder + "/run.json");
  EXPECT_EQ(run["status"], "interrupted");
  EXPECT_EQ(run["cells"][0]["name"], "raw");  // as listed, whichever ran first
  const size_t first = CellOrder(scenario->seed, 1, 2).at(0);
  const json& begun = run["cells"][first];
  ASSERT_EQ(begun["reps"].size(), 1u);
  EXPECT_EQ(begun["reps"][0]["status"], "interrupted");
  EXPECT_TRUE(run["cells"][1 - first]["reps"].empty());
  const std::string dir = begun["reps"][0]["dir"];
  EXPECT_TRUE(ReadJson(result->folder + "/" + dir + "/rep.json").is_object());
}

TEST_F(RunTest, AnOrderAcknowledgedAfterTheDrainLimitIsWatchedForItsLagToo) {
  // So many wait for PostgreSQL when the load ends that most are answered after the
  // time for the drain is over.
  const std::vector<std::string> overrides{
      R"(matrix.paths=["cdc"])", "load.mode=closed", "load.clients=1000",
      "load.duration=2500ms",    "load.drain=1ms",   "workload.set_price_share=0",
      "workload.accounts=10000", "fault=[]"};
  const auto scenario = ParseScenario(kShort, "short.toml", overrides);
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  const std::string rep = result->folder + "/cells/cdc/rep-1";
  std::set<std::pair<int64_t, std::string>> committed, watched;
  for (const json& line : ReadLines(rep + "/ops.ndjson")) {
    if (line["outcome"] != "committed") continue;
    for (const char* store : {"stock", "ledger"}) committed.emplace(line["order"], store);
  }
  for (const json& line : ReadLines(rep + "/lag.ndjson")) {
    watched.emplace(line["order"], line["store"]);
  }
  EXPECT_GT(committed.size(), 200u);
  std::vector<std::pair<int64_t, std::string>> unwatched;
  std::set_difference(committed.begin(), committed.end(), watched.begin(), watched.end(),
                      std::back_inserter(unwatched));
  EXPECT_THAT(unwatched, testing::IsEmpty());
}

}  // namespace
}  // namespace indoubt
