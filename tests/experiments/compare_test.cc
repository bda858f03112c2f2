#include "experiments/compare/compare.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kScenario =
    "name = \"coordinator-crash\"\n[load]\nmode = \"open\"\nrate_per_s = 10.0\n"
    "[[fault]]\nat = \"5s\"\nkind = \"kill\"\n[stats]\nrepeat = 5\n";

/// A run whose times are those of the sample, `slower` times as long, and noisy by a few
/// percent that differ from repetition to repetition.
struct Made {
  SampleRun sample = MakeSampleRun();
  std::string scenario = kScenario;
  TemporaryFolder folder;

  void Repeat(int repetitions, double slower, uint64_t seed) {
    for (const char* cell : {"2pc", "cdc", "dual-write"}) {
      for (int n = 2; n <= repetitions; ++n) sample.rep(cell, n);
    }
    for (SampleRep& rep : sample.reps) {
      seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
      const double noise = 1 + 0.04 * (static_cast<double>(seed >> 40) * 0x1.0p-24 - 0.5);
      for (json& operation : rep.files["ops.ndjson"]) {
        if (operation.at("outcome") != "committed") continue;
        const auto due = operation.at("intended_ns").get<int64_t>();
        const double took = static_cast<double>(operation.at("ended_ns").get<int64_t>() - due);
        operation["ended_ns"] = due + std::llround(took * noise * slower);
      }
    }
  }
  const std::string& Write() {
    sample.Write(folder.path());
    std::ofstream(folder.path() + "/scenario.toml") << scenario;
    return folder.path();
  }
};

json Find(const json& comparison, const std::string& cell, const std::string& figure) {
  for (const json& line : comparison.at("lines")) {
    if (line.at("cell") == cell && line.at("figure") == figure) return line;
  }
  ADD_FAILURE() << cell << " " << figure;
  return json();
}

class CompareTest : public ::testing::Test {
 protected:
  json Compared() {
    const auto comparison = CompareRuns(base_.Write(), candidate_.Write());
    EXPECT_TRUE(comparison) << comparison.status().ToString();
    return comparison.value_or(json());
  }
  std::string Refusal() {
    const auto comparison = CompareRuns(base_.Write(), candidate_.Write());
    EXPECT_EQ(comparison.status().code(), StatusCode::kInvalidArgument);
    return comparison.status().message();
  }
  Made base_, candidate_;
};

TEST_F(CompareTest, TheSameTwiceIsNeitherBetterNorWorse) {
  base_.Repeat(6, 1, 1);
  candidate_.Repeat(6, 1, 2);
  const json comparison = Compared();
  for (const json& line : comparison.at("lines")) {
    EXPECT_NE(line.at("verdict"), "worse") << line;
    EXPECT_NE(line.at("verdict"), "better") << line;
  }
  EXPECT_EQ(Find(comparison, "cdc", "response_ms.p50").at("verdict"), "no difference");
  EXPECT_EQ(Find(comparison, "2pc", "inconsistent.permanent").at("verdict"), "no difference");
  EXPECT_EQ(JudgeComparison(comparison), GateVerdict::kPass);
  EXPECT_THAT(ComparisonText(comparison), HasSubstr("worse: nothing; better: nothing"));
}

TEST_F(CompareTest, ASlowdownOfTwentyPercentIsWorseWithItsIntervalAndItsReverseBetter) {
  base_.Repeat(5, 1, 1);
  candidate_.Repeat(5, 1.2, 2);
  const json comparison = Compared();
  const json line = Find(comparison, "cdc", "response_ms.p50");
  EXPECT_EQ(line.at("verdict"), "worse");
  EXPECT_EQ(line.at("level"), 0.99);
  EXPECT_NEAR(line.at("ratio").at("estimate").get<double>(), 1.2, 0.05);
  EXPECT_GT(line.at("ratio").at("ci_low"), 1.1);
  EXPECT_LT(line.at("ratio").at("ci_high"), 1.3);
  EXPECT_LE(line.at("p"), 0.05);
  EXPECT_EQ(JudgeComparison(comparison), GateVerdict::kWorse);
  EXPECT_THAT(ComparisonText(comparison), HasSubstr("cdc response_ms.p50"));
  const auto reversed = CompareRuns(candidate_.folder.path(), base_.folder.path());
  ASSERT_TRUE(reversed);
  EXPECT_EQ(Find(*reversed, "cdc", "response_ms.p50").at("verdict"), "better");
  EXPECT_EQ(JudgeComparison(*reversed), GateVerdict::kPass);
}

TEST_F(CompareTest, ThreeRepetitionsCannotTellAndTheGateSaysSo) {
  base_.Repeat(3, 1, 1);
  candidate_.Repeat(3, 2, 2);
  const json comparison = Compared();
  const json line = Find(comparison, "cdc", "response_ms.p50");
  EXPECT_EQ(line.at("verdict"), "cannot tell");
  EXPECT_THAT(line.at("reason").get<std::string>(), HasSubstr("3 and 3 repetitions"));
  EXPECT_NEAR(line.at("ratio").at("estimate").get<double>(), 2, 0.1);
  EXPECT_TRUE(line.at("ratio").at("ci_low").is_null());
  EXPECT_EQ(JudgeComparison(comparison), GateVerdict::kCannotTell);
}

TEST_F(CompareTest, WhatWasNotMeasuredIsNullAndNeverZero) {
  base_.Repeat(5, 1, 1);
  candidate_.Repeat(5, 1, 2);
  for (SampleRep& rep : candidate_.sample.reps) rep.files.erase("lag.ndjson");
  const json line = Find(Compared(), "cdc", "lag_ms.p99");
  EXPECT_EQ(line.at("verdict"), "cannot tell");
  EXPECT_EQ(line.at("reason"), "not measured in the candidate");
  EXPECT_TRUE(line.at("candidate").at("median").is_null());
  EXPECT_TRUE(line.at("difference").is_null());
  EXPECT_THAT(ComparisonText(Compared()), HasSubstr("not measured"));
}

TEST_F(CompareTest, OneViolationOnAPathThatPromisesIsWorseWhateverTheNoise) {
  candidate_.sample.rep("2pc").rep["final"]["lost_acknowledged"] = {"order:1"};
  const json comparison = Compared();
  EXPECT_EQ(Find(comparison, "2pc", "lost_acknowledged").at("verdict"), "worse");
  EXPECT_EQ(JudgeComparison(comparison), GateVerdict::kCorrectnessViolated);
  EXPECT_THAT(ComparisonText(comparison), HasSubstr("CORRECTNESS VIOLATED in the candidate"));
}

TEST_F(CompareTest, RunsThatAskedAnotherQuestionAreRefusedByName) {
  candidate_.sample.run["scenario"] = "quiet";
  EXPECT_THAT(Refusal(), HasSubstr("the scenario is \"coordinator-crash\" and \"quiet\""));
  candidate_.sample = MakeSampleRun();
  candidate_.scenario = "[load]\nmode = \"open\"\nrate_per_s = 60.0\n[[fault]]\nat = \"5s\"\n";
  EXPECT_THAT(Refusal(), HasSubstr("load.rate_per_s is 10.0 and 60.0"));
  EXPECT_THAT(Refusal(), HasSubstr("fault[1].kind is 'kill' and unset"));
}

TEST_F(CompareTest, OtherDurabilityAndAnotherMachineAreRefusedByName) {
  candidate_.sample.env["durability"]["redis"] = "appendfsync=everysec";
  EXPECT_THAT(Refusal(), HasSubstr("the durability of redis is \"appendfsync=always\" and "
                                   "\"appendfsync=everysec\""));
  candidate_.sample = MakeSampleRun();
  candidate_.sample.env["cores"] = 64;
  candidate_.sample.env["build"] = "debug";
  EXPECT_THAT(Refusal(), HasSubstr("env.cores is 2 and 64"));
  EXPECT_THAT(Refusal(), HasSubstr("env.build is \"release\" and \"debug\""));
}

TEST_F(CompareTest, WhatMayMatterIsAWarning) {
  candidate_.sample.env["versions"]["postgres"] = "16.1";
  candidate_.sample.env["kernel"] = "6.9";
  candidate_.sample.env["fdatasync_us"]["p50"] = 900.0;
  candidate_.sample.run["seed"] = 7;
  for (SampleRep& rep : candidate_.sample.reps) {
    if (rep.cell == "cdc") rep.cell = "cdc-clients-8";
  }
  const std::string warnings = Compared().at("warnings").dump();
  for (const char* part : {"the version of postgres is", "env.kernel is", "fdatasync took 210",
                           "the seed is 42 and 7", "the cell cdc is in the base alone",
                           "the cell cdc-clients-8 is in the candidate alone"}) {
    EXPECT_THAT(warnings, HasSubstr(part));
  }
}

TEST_F(CompareTest, ACellWithOtherParametersIsAnotherCell) {
  base_.sample.reps.resize(1);
  candidate_.sample.reps.resize(1);
  candidate_.sample.reps[0].cell = "2pc-last-resource";
  EXPECT_THAT(Refusal(), HasSubstr("no cell (path and parameters) in common"));
}

TEST_F(CompareTest, AFolderThatIsNoRunIsNotFound) {
  const TemporaryFolder empty;
  EXPECT_EQ(CompareRuns(base_.Write(), empty.path()).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace indoubt
