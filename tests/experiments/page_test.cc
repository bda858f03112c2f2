#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/chart_data.h"
#include "experiments/report/decision.h"
#include "experiments/report/html_text.h"
#include "experiments/report/page_data.h"
#include "experiments/report/report.h"
#include "experiments/report/survival.h"
#include "experiments/summary/summary.h"
#include "tests/experiments/summarised_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(SurvivalTest, WhoStillWaitedWhenLastLookedAtCountsUntilThen) {
  // By hand: 4 at risk at 1 ms, one goes: 3/4. One was last seen at 2 ms. 2 at risk at 10 ms,
  // one goes: 3/4 * 1/2. The last is still waiting at 100 ms.
  const SurvivalCurve curve = Survival({{100, true}, {1, false}, {10, false}, {2, true}}, 10);
  EXPECT_EQ(curve.n, 4U);
  EXPECT_EQ(curve.censored, 2U);
  ASSERT_EQ(curve.curve.size(), 5U);
  EXPECT_EQ(curve.curve[0].y, 1.0);
  EXPECT_EQ(curve.curve[1].y, 0.75);
  EXPECT_EQ(curve.curve[2].y, 0.75);
  EXPECT_EQ(curve.curve[3].y, 0.375);
  EXPECT_EQ(curve.curve[4].y, 0.375);
  EXPECT_EQ(curve.curve[4].x, 100);
}

TEST(SurvivalTest, GoingComesBeforeBeingLastSeenAtTheSameTime) {
  EXPECT_EQ(Survival({{5, true}, {5, false}}, 10).curve.back().y, 0.5);
}

TEST(SurvivalTest, ManyStepsAreThinnedAndTheLongestWaitIsKept) {
  std::vector<Wait> waits;
  for (int i = 1; i <= 100'000; ++i) waits.push_back({i / 10.0, false});
  const SurvivalCurve curve = Survival(waits, 20);
  EXPECT_LE(curve.curve.size(), 110U);
  EXPECT_EQ(curve.curve.back().x, 10'000);
  EXPECT_EQ(curve.curve.back().y, 0);
}

TEST(ScriptJsonTest, NothingInItCanEndItsElement) {
  const std::string text = ScriptJson({{"name", "</script><!--&\u2028\xff"}});
  EXPECT_EQ(text, R"({"name":"\u003c/script\u003e\u003c!--\u0026\u2028\ufffd"})");
  EXPECT_EQ(json::parse(text).at("name"), "</script><!--&\u2028\uFFFD");
}

class PageTest : public SummarisedRunTest {
 protected:
  json Page() {
    sample_.Write(folder_.path());
    ReportedRun run;
    run.summary = *Summarise(folder_.path());
    run.charts = *ReadCharts(folder_.path(), run.summary, DetailFor(3));
    return PageData(run);
  }
  void Repeat(int repetitions) {
    for (int n = 2; n <= repetitions; ++n) {
      for (const char* cell : {"2pc", "cdc", "dual-write"}) sample_.rep(cell, n);
    }
  }
};

TEST_F(PageTest, WhatWasNotMeasuredIsNullInThePagesDataAndNever0) {
  sample_.rep("2pc").files.erase("blocked.ndjson");
  for (json& line : sample_.rep("cdc").files["timeline.ndjson"]) line["waiters"] = nullptr;
  const json page = Page();
  const json& two_phase = page.at("cells").at(0);
  EXPECT_TRUE(two_phase.at("figures").at("blocked_ms.max").at("value").is_null());
  EXPECT_TRUE(two_phase.at("figures").at("lag_ms.max").at("value").is_null());
  EXPECT_TRUE(page.at("series").at(0).at("blocking").is_null());
  EXPECT_TRUE(page.at("series").at(1).at("in_doubt").empty());
  EXPECT_TRUE(page.at("series").at(1).at("waiters").at(0).at(1).is_null());
}

TEST_F(PageTest, TheWayBackCountsFromWhenTheFaultActed) {
  const json page = Page();
  const json& stages = page.at("series").at(0).at("recovery");
  ASSERT_EQ(stages.size(), 5U);
  EXPECT_EQ(stages.at(0).at("to_s"), 9.9);   // seen at 6.1 s, healed at 16 s
  EXPECT_EQ(stages.at(2).at("to_s"), 10.4);  // a branch was last seen in doubt at 16.5 s
  EXPECT_EQ(stages.at(4).at("reason"), "not measured");
  const json& derived = page.at("series").at(1).at("recovery");
  EXPECT_EQ(derived.at(2).at("reason"), "the path prepares nothing");
  EXPECT_EQ(derived.at(4).at("to_s"), 10.9);  // order 2 was seen at 17 s
}

TEST_F(PageTest, AFaultThatWasNeverHealedHasNoWayBack) {
  sample_.rep("2pc").rep["faults"][0]["healed_at_ns"] = nullptr;
  EXPECT_TRUE(Page().at("series").at(0).at("recovery").empty());
}

TEST_F(PageTest, TheTransactionLongestInDoubtHasItsLanes) {
  const json page = Page();
  const json& transaction = page.at("series").at(0).at("transactions").at(0);
  EXPECT_EQ(transaction.at("id"), "g1");
  EXPECT_EQ(transaction.at("why"), "longest in doubt");
  EXPECT_EQ(transaction.at("outcome"), "its client got no answer");
  const json& spans = transaction.at("spans");
  ASSERT_EQ(spans.size(), 3U);  // accounts, stock and the fault
  EXPECT_EQ(spans.at(0).at("lane"), "accounts");
  EXPECT_EQ(spans.at(0).at("to_ms"), 10500.0);
  EXPECT_EQ(spans.at(2).at("label"), "coordinator down");
}

TEST_F(PageTest, AnOrderLongestStaleShowsWhoWaitedForItsKeys) {
  sample_.rep("cdc").files["blocked.ndjson"] = {{{"store", "accounts"},
                                                 {"key", "account:3"},
                                                 {"started_ns", kSecond},
                                                 {"ended_ns", 2 * kSecond}}};
  const json page = Page();
  const json& transaction = page.at("series").at(1).at("transactions").at(0);
  EXPECT_EQ(transaction.at("id"), "cdc/order:2");
  EXPECT_EQ(transaction.at("why"), "longest stale");
  std::vector<std::string> lanes;
  for (const json& span : transaction.at("spans")) lanes.push_back(span.at("lane"));
  EXPECT_THAT(lanes, ElementsAre("client", "stock", "ledger", "others: account:3", "fault"));
  EXPECT_TRUE(transaction.at("spans").at(2).at("to_ms").is_null());  // the ledger never had it
}

TEST_F(PageTest, EvidenceIsGradedByRepetitionsAndWarnings) {
  EXPECT_EQ(EvidenceOf(Summary()).grade, "indicative");
  Repeat(7);
  json summary = Summary();
  summary["warnings"] = json::array();
  EXPECT_EQ(EvidenceOf(summary).grade, "strong");
  summary["warnings"] = {"something"};
  EXPECT_EQ(EvidenceOf(summary).grade, "fair");
  summary["run"]["status"] = "interrupted";
  EXPECT_EQ(EvidenceOf(summary).grade, "none");
}

TEST_F(PageTest, TheDecisionTableHasARowAPathAndIntervalsFromSixRepetitions) {
  Table table = DecisionTable(Summary());
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_EQ(table.rows[1][0], "cdc");
  EXPECT_EQ(table.rows[1][5], "11.0 s");
  EXPECT_EQ(table.rows[0][5], "–");
  Repeat(7);
  table = DecisionTable(Summary());
  EXPECT_EQ(table.rows[1][5], "11.0 s\n(11.0 s to 11.0 s)");
}

TEST_F(PageTest, AHostileNameIsTextInThePage) {
  sample_.run["scenario"] = "</script><script>alert(1)</script>";
  sample_.Write(folder_.path());
  ASSERT_TRUE(WriteReports(folder_.path()));
  const std::string page = ReadText(folder_.path() + "/report.html");
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(1)"));
}

TEST_F(PageTest, AMatrixOfManyCellsStaysBelowAMegabyteAndSaysWhatItLeftOut) {
  const SampleRun once = sample_;
  for (int i = 0; i < 14; ++i) {
    for (SampleRep rep : once.reps) {
      rep.cell += "-" + std::to_string(i);
      sample_.reps.push_back(rep);
    }
  }
  sample_.Write(folder_.path());
  ASSERT_TRUE(WriteReports(folder_.path()));
  const std::string page = ReadText(folder_.path() + "/report.html");
  EXPECT_LT(page.size(), 1'000'000U);
  EXPECT_THAT(page, HasSubstr("13 paths have figures but no lines here"));
}

}  // namespace
}  // namespace indoubt
