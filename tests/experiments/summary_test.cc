#include "experiments/summary/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/report.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/figures.h"
#include "tests/experiments/summarised_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

using SummaryTest = SummarisedRunTest;

TEST_F(SummaryTest, CountsOperationsOfTheMeasuredPhaseByOutcome) {
  const json rep = FirstRep("2pc");
  EXPECT_EQ(rep.at("attempted"), 105);
  EXPECT_EQ(rep.at("committed"), 100);
  for (const char* outcome : {"rolled_back", "failed", "unknown", "dropped", "censored"}) {
    EXPECT_EQ(rep.at(outcome), 1) << outcome;
  }
}

TEST_F(SummaryTest, ThroughputCountsCommitsThatEndedInsideTheSpan) {
  auto& operations = sample_.rep("2pc").files["ops.ndjson"];
  operations.push_back(
      SampleOperation(200, "committed", 30 * kSecond, 30 * kSecond, 31 * kSecond));
  EXPECT_DOUBLE_EQ(FirstRep("2pc").at("throughput_per_s").get<double>(), 100.0 / 30);
}

TEST_F(SummaryTest, PercentilesOfResponseAndServiceAreExact) {
  const json rep = FirstRep("cdc");
  EXPECT_EQ(rep.at("response_ms").at("n"), 100);
  EXPECT_EQ(rep.at("response_ms").at("p50"), 50);
  EXPECT_EQ(rep.at("response_ms").at("p90"), 90);
  EXPECT_EQ(rep.at("response_ms").at("p99"), 99);
  EXPECT_EQ(rep.at("response_ms").at("p999"), 100);
  EXPECT_EQ(rep.at("service_ms").at("p50"), 49.5);
}

TEST_F(SummaryTest, UnansweredOperationsCountWithTheTimeTheyHaveWaited) {
  const json response = FirstRep("2pc").at("response_ms");
  EXPECT_EQ(response.at("n"), 103);       // 100 committed, rolled back, unknown, censored
  EXPECT_EQ(response.at("max"), 34'000);  // censored: due at 7 s, drained at 41 s
  EXPECT_EQ(response.at("p99"), 5'000);   // unknown: its answer's absence came after 5 s
}

TEST_F(SummaryTest, AnUnknownOperationWithoutAnEndCountsUpToTheDrainedTime) {
  auto& operations = sample_.rep("cdc").files["ops.ndjson"];
  operations.push_back(SampleOperation(102, "unknown", 6 * kSecond, 6 * kSecond, nullptr));
  EXPECT_EQ(FirstRep("cdc").at("response_ms").at("max"), 35'000);
}

TEST_F(SummaryTest, AnOperationThatNeverStartedHasNoServiceTime) {
  auto& operations = sample_.rep("cdc").files["ops.ndjson"];
  operations.push_back(SampleOperation(102, "censored", 6 * kSecond, nullptr, nullptr));
  const json rep = FirstRep("cdc");
  EXPECT_EQ(rep.at("response_ms").at("n"), 101);
  EXPECT_EQ(rep.at("service_ms").at("n"), 100);
}

TEST_F(SummaryTest, InDoubtIsByBranchAndNullWithoutTwoPhaseCommit) {
  EXPECT_EQ(FirstRep("2pc").at("in_doubt_ms").at("max"), 10'500);
  EXPECT_EQ(FirstRep("2pc").at("in_doubt_ms").at("p50"), 4);
  EXPECT_TRUE(FirstRep("cdc").at("in_doubt_ms").is_null());
  EXPECT_TRUE(FirstRep("dual-write").at("in_doubt_ms").is_null());
}

TEST_F(SummaryTest, BlockedWritersAreCensoredAtTheDrainedTime) {
  const json rep = FirstRep("2pc");
  EXPECT_EQ(rep.at("blocked_ms").at("max"), 9'000);
  EXPECT_EQ(rep.at("blocked_ms").at("p50"), 1'000);  // still waiting: 40 s to 41 s
  EXPECT_EQ(rep.at("blocked_over_100ms"), 2);        // exactly 100 ms is not over it
}

TEST_F(SummaryTest, LagIsNeverNegativeAndCensoredWhereNothingWasSeen) {
  const json lag = FirstRep("cdc").at("lag_ms");
  EXPECT_EQ(lag.at("n"), 4);
  EXPECT_EQ(lag.at("p50"), 20);
  EXPECT_EQ(lag.at("by_store").at("stock").at("max"), 11'000);
  EXPECT_EQ(lag.at("by_store").at("stock").at("p50"), 0);
  EXPECT_EQ(lag.at("by_store").at("ledger").at("max"), 11'000);
}

TEST_F(SummaryTest, LagIsToldApartBeforeTheFaultAndAfterItsHealing) {
  const json rep = FirstRep("cdc");
  EXPECT_EQ(rep.at("lag_before_fault_ms").at("n"), 3);
  EXPECT_EQ(rep.at("lag_before_fault_ms").at("p50"), 20);
  EXPECT_EQ(rep.at("lag_after_heal_ms").at("n"), 1);
  EXPECT_EQ(rep.at("lag_after_heal_ms").at("by_store").at("ledger").at("max"), 11'000);
  EXPECT_EQ(rep.at("catch_up_ms"), 1'000);  // healed at 16 s, the last one seen at 17 s
}

TEST_F(SummaryTest, WithoutAHealedFaultNoLagIsBeforeOrAfterIt) {
  sample_.rep("cdc").rep["faults"][0]["healed_at_ns"] = nullptr;
  const json rep = FirstRep("cdc");
  EXPECT_EQ(rep.at("lag_ms").at("n"), 4);
  for (const char* name : {"lag_before_fault_ms", "lag_after_heal_ms", "catch_up_ms"}) {
    EXPECT_TRUE(rep.at(name).is_null()) << name;
  }
}

TEST_F(SummaryTest, TransientInconsistencyIsADistinctOrderThatAgreesAtTheEnd) {
  EXPECT_EQ(FirstRep("2pc").at("inconsistent").at("transient"), 1);
  EXPECT_EQ(FirstRep("2pc").at("fractured_reads"), 2);
  EXPECT_EQ(FirstRep("2pc").at("reads"), 3);
  const json dual = FirstRep("dual-write");
  EXPECT_EQ(dual.at("inconsistent").at("transient"), 1);  // order 18; 17 stays broken
  EXPECT_EQ(dual.at("inconsistent").at("permanent"), 2);
  EXPECT_EQ(dual.at("lost_acknowledged"), 1);
}

TEST_F(SummaryTest, FaultsCountFromTheMeasuredSpan) {
  const json fault = FirstRep("2pc").at("faults").at(0);
  EXPECT_EQ(fault.at("requested_at"), 5'000);
  EXPECT_EQ(fault.at("observed_at"), 5'100);
  EXPECT_EQ(fault.at("healed_at"), 15'000);
}

TEST_F(SummaryTest, WhatWasBrokenByHandIsSaidToBe) {
  sample_.rep("2pc").status = "disturbed";
  sample_.rep("2pc").rep["faults"][0]["by_hand"] = true;
  EXPECT_EQ(FirstRep("2pc").at("faults").at(0).at("by_hand"), true);
  EXPECT_EQ(FirstRep("cdc").at("faults").at(0).at("by_hand"), false);
  EXPECT_THAT(Summary().at("warnings").dump(),
              HasSubstr("2pc repetition 1: disturbed by hand (kill coordinator at 5.0 s)"));
}

TEST_F(SummaryTest, WhatWasNotMeasuredIsNull) {
  sample_.rep("cdc").files.clear();
  sample_.rep("cdc").rep["final"] = nullptr;
  const json rep = FirstRep("cdc");
  for (const char* name :
       {"attempted", "throughput_per_s", "response_ms", "blocked_ms", "blocked_over_100ms",
        "lag_ms", "reads", "fractured_reads", "leftovers", "lost_acknowledged"}) {
    EXPECT_TRUE(rep.at(name).is_null()) << name;
  }
  EXPECT_TRUE(rep.at("inconsistent").at("permanent").is_null());
  EXPECT_TRUE(rep.at("inconsistent").at("transient").is_null());
}

TEST_F(SummaryTest, EveryNumberOfARepetitionIsAFigureThatAnExpectationMayName) {
  size_t numbers = 0;
  for (const char* cell : {"2pc", "cdc", "dual-write"}) {
    json rep = FirstRep(cell);
    rep.erase("n");
    for (const auto& [name, value] : FlatFigures(rep)) {
      EXPECT_TRUE(IsFigure(name)) << name;
      ++numbers;
    }
  }
  EXPECT_GT(numbers, 100U);
  for (const char* name : {"", "recovery_idempotent", "lag_ms", "lag_ms.", "lag_ms.p42",
                           "in_doubt_ms.by_store.stock.max", "lag_ms.by_store.moon.max"}) {
    EXPECT_FALSE(IsFigure(name)) << name;
  }
}

TEST_F(SummaryTest, ARepetitionWithoutItsEndHasNoFiguresAndAWarning) {
  sample_.rep("2pc").rep = nullptr;
  sample_.rep("2pc").status = "interrupted";
  const json summary = Summary();
  EXPECT_TRUE(summary.at("cells").at(0).at("reps").at(0).at("attempted").is_null());
  EXPECT_TRUE(summary.at("cells").at(0).at("stats").empty());
  EXPECT_THAT(summary.at("warnings").dump(), HasSubstr("did not reach its end"));
}

TEST_F(SummaryTest, StatsAreTheMedianOverRepetitionsWithItsInterval) {
  for (int n = 2; n <= 6; ++n) {
    auto& reads = sample_.rep("2pc", n).files["reads.ndjson"];
    reads.resize(static_cast<size_t>(3 - n % 3), reads.front());
  }
  sample_.rep("2pc", 7).status = "interrupted";
  sample_.rep("2pc", 7).files["reads.ndjson"].clear();
  sample_.rep("2pc", 8).status = "disturbed";
  sample_.rep("2pc", 8).files["reads.ndjson"].clear();
  const json stats = Summary().at("cells").at(0).at("stats");
  EXPECT_EQ(stats.at("reads"),
            (json{{"median", 2.5}, {"ci_low", 1.0}, {"ci_high", 3.0}, {"n", 6}}));
  EXPECT_EQ(stats.at("response_ms.p50").at("n"), 6);
  EXPECT_TRUE(Summary().at("cells").at(1).at("stats").at("reads").at("ci_low").is_null());
}

TEST_F(SummaryTest, WarnsOfStorageThatMakesNothingDurable) {
  sample_.env["fdatasync_us"]["p50"] = 8.0;
  EXPECT_THAT(Summary().at("warnings").dump(), HasSubstr("voids the verdict"));
}

TEST_F(SummaryTest, WarnsOfObserverGapsAndOfALoadThatFellBehind) {
  EXPECT_TRUE(Summary().at("warnings").empty()) << Summary().at("warnings");
  auto& timeline = sample_.rep("cdc").files["timeline.ndjson"];
  timeline.erase(timeline.begin() + 50, timeline.begin() + 70);
  auto& operations = sample_.rep("cdc").files["ops.ndjson"];
  for (int i = 0; i < 2; ++i) {
    operations.push_back(SampleOperation(300 + i, "dropped", 5 * kSecond, nullptr, nullptr));
  }
  const std::string warnings = Summary().at("warnings").dump();
  EXPECT_THAT(warnings, HasSubstr("observer gaps"));
  EXPECT_THAT(warnings, HasSubstr("cdc repetition 1: the load fell behind: 2 of 102"));
}

TEST_F(SummaryTest, WhatIsDroppedWhileSomethingIsBrokenIsThePriceOfTheFault) {
  auto& operations = sample_.rep("cdc").files["ops.ndjson"];
  for (int i = 0; i < 5; ++i) {
    operations.push_back(SampleOperation(300 + i, "dropped", 9 * kSecond, nullptr, nullptr));
  }
  const json summary = Summary();
  EXPECT_TRUE(summary.at("warnings").empty()) << summary.at("warnings");
  for (const json& cell : summary.at("cells")) {
    if (cell.at("name") != "cdc") continue;
    EXPECT_EQ(cell.at("reps")[0].at("dropped"), 5);
    EXPECT_EQ(cell.at("reps")[0].at("dropped_undisturbed"), 0);
  }
  sample_.Write(folder_.path());
  const auto written = WriteReports(folder_.path());
  ASSERT_TRUE(written) << written.error().ToString();
  const CommandResult verified = VerifyRun(folder_.path());
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

TEST_F(SummaryTest, ALastLineCutOffIsLeftOutAndReported) {
  sample_.Write(folder_.path());
  std::ofstream(folder_.path() + "/cells/cdc/rep-1/reads.ndjson", std::ios::app)
      << R"({"t_ns": 3, "ord)";
  const auto summary = Summarise(folder_.path());
  ASSERT_TRUE(summary) << summary.status().ToString();
  EXPECT_THAT(summary->at("warnings").dump(), HasSubstr("reads.ndjson was cut off"));
}

TEST_F(SummaryTest, ADamagedLineIsAnErrorThatNamesFileAndLine) {
  sample_.rep("cdc").files["reads.ndjson"] = {json{{"order", 3}}};
  sample_.Write(folder_.path());
  const auto summary = Summarise(folder_.path());
  ASSERT_FALSE(summary);
  EXPECT_EQ(summary.error().code(), StatusCode::kCorrupt);
  EXPECT_THAT(summary.error().message(), HasSubstr("reads.ndjson:1"));
}

TEST_F(SummaryTest, ALineWithAnUnknownOutcomeOrWithoutItsTimesIsAnErrorToo) {
  sample_.rep("cdc").files["ops.ndjson"].at(3)["outcome"] = "vanished";
  sample_.Write(folder_.path());
  EXPECT_THAT(Summarise(folder_.path()).status().message(),
              HasSubstr("ops.ndjson:4: unknown outcome 'vanished'; the line is not as"));
  sample_.rep("cdc").files["ops.ndjson"].at(3)["outcome"] = "committed";
  sample_.rep("cdc").files["ops.ndjson"].at(3)["ended_ns"] = nullptr;
  sample_.Write(folder_.path());
  EXPECT_THAT(Summarise(folder_.path()).status().message(),
              HasSubstr("ops.ndjson:4: an answered operation without its times; the line"));
}

TEST_F(SummaryTest, AReadIsFracturedOnlyWhenBothCollectsDisagreeInTheSameWay) {
  auto& reads = sample_.rep("2pc").files["reads.ndjson"];
  reads = {{{"t_ns", 1}, {"order", 1}, {"first", {true, false}}, {"second", {true, true}}}};
  reads[0]["fractured"] = false;  // it was under way, and whole at the second look
  EXPECT_EQ(FirstRep("2pc").at("fractured_reads"), 0);
  reads[0]["second"] = {true, false};
  sample_.Write(folder_.path());
  EXPECT_THAT(Summarise(folder_.path()).status().message(),
              HasSubstr("reads.ndjson:1: 'fractured' is not what its two collects say"));
  reads[0]["fractured"] = true;
  EXPECT_EQ(FirstRep("2pc").at("fractured_reads"), 1);
  EXPECT_EQ(FirstRep("2pc").at("inconsistent").at("transient"), 1);
}

TEST_F(SummaryTest, AFolderThatIsNoRunIsNotFound) {
  EXPECT_EQ(Summarise(folder_.path()).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace indoubt
