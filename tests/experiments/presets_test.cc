// Every scenario that the binary carries, run: its summary is as its schema says, agrees
// with its records, and has no figure without a record. Shortened to one path, a second of
// load and no fault; whole, some 45 minutes that want an idle machine, with
// INDOUBT_WHOLE_PRESETS=1.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/report.h"
#include "experiments/run.h"
#include "experiments/summary/summary.h"
#include "faults/process.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const BuiltinScenario& builtin : BuiltinScenarios()) names.emplace_back(builtin.name);
  return names;
}

class PresetsTest : public ::testing::TestWithParam<std::string> {
 protected:
  Result<Scenario> Load() {
    auto whole = LoadScenario(GetParam());
    if (!whole || std::getenv("INDOUBT_WHOLE_PRESETS") != nullptr) return whole;
    std::vector<std::string> shorter{"matrix.paths=[\"" + whole->paths.front() + "\"]",
                                     "matrix.vary={}", "fault=[]", "load.warmup=200ms",
                                     "load.duration=1s"};
    if (!whole->client_counts.empty()) shorter.emplace_back("matrix.clients=[4]");
    return LoadScenario(GetParam(), shorter);
  }
  ScratchFolder folder_{"indoubt-presets-test"};
};

/// A figure whose file is not there was not measured.
void ExpectNullWithoutRecord(const std::string& folder, const json& rep) {
  const std::map<std::string, std::vector<const char*>> figures{
      {"in_doubt.ndjson", {"/in_doubt_ms"}},
      {"blocked.ndjson", {"/blocked_ms", "/blocked_over_100ms"}},
      {"lag.ndjson", {"/lag_ms"}},
      {"reads.ndjson", {"/reads", "/fractured_reads", "/inconsistent/transient"}},
      {"slot.ndjson",
       {"/retained_wal_bytes", "/retained_wal_end_bytes", "/retained_wal_series"}},
      {"slot_waits.ndjson", {"/slot_wait_ms"}},
      {"token_reads.ndjson",
       {"/own_reads/without_token/reads", "/own_reads/with_token/stale",
        "/pair_reads/without_cut/fractured", "/pair_reads/with_cut/reads", "/token_wait_ms"}},
      {"ops.ndjson", {"/attempted", "/committed", "/failed", "/throughput_per_s"}}};
  for (const auto& [file, pointers] : figures) {
    const bool there = std::filesystem::exists(folder + "/" + file);
    for (const char* pointer : pointers) {
      EXPECT_EQ(rep.at(json::json_pointer(pointer)).is_null(), !there) << folder << pointer;
    }
  }
  for (const auto& [name, value] : rep.items()) {
    if (!value.is_object() || !value.contains("n") || value.at("n") != 0) continue;
    for (const char* part : {"p50", "p90", "p99", "p999", "max"}) {
      EXPECT_TRUE(value.at(part).is_null()) << name << "." << part;
    }
  }
}

TEST_P(PresetsTest, SummaryIsAsItsSchemaSaysAndNothingUnmeasuredIsZero) {
  const auto scenario = Load();
  ASSERT_TRUE(scenario) << scenario.status().ToString();
  RunOptions options;
  options.binary = std::getenv("INDOUBT_BINARY");
  options.out_folder = folder_.path();
  options.argv = {"indoubt", "run", GetParam()};
  options.repeat = 1;
  const auto result = RunScenario(*scenario, options);
  ASSERT_TRUE(result) << result.status().ToString();
  ASSERT_EQ(result->status, "done");
  const auto summary = WriteReports(result->folder);
  ASSERT_TRUE(summary) << summary.status().ToString();

  const CommandResult valid = ValidateSummary(result->folder);
  EXPECT_EQ(valid.exit_code, 0) << valid.output;
  const CommandResult verified = VerifyRun(result->folder);
  EXPECT_EQ(verified.exit_code, 0) << verified.output;

  for (const json& cell : summary->at("cells")) {
    for (const json& rep : cell.at("reps")) {
      EXPECT_GT(rep.at("committed"), 0) << cell.at("name");
      const std::string folder = result->folder + "/" + rep.at("dir").get<std::string>();
      ExpectNullWithoutRecord(folder, rep);
      for (const char* file : {"in_doubt", "blocked", "lag", "reads", "ops", "slot",
                               "slot_waits", "token_reads"}) {
        std::filesystem::remove(folder + "/" + file + ".ndjson");
      }
    }
  }
  const auto blind = Summarise(result->folder);
  ASSERT_TRUE(blind) << blind.status().ToString();
  for (const json& cell : blind->at("cells")) {
    for (const json& rep : cell.at("reps")) {
      ExpectNullWithoutRecord(result->folder + "/" + rep.at("dir").get<std::string>(), rep);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryPreset, PresetsTest, ::testing::ValuesIn(Names()),
                         [](const auto& preset) {
                           std::string name = preset.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace indoubt
