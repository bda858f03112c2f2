// Figures of the derived path from planted records, and what the reports say of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/derived_tables.h"
#include "experiments/report/report.h"
#include "experiments/report/writers.h"
#include "experiments/summary/judgement.h"
#include "tests/experiments/summarised_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json Look(int64_t at_ns, int64_t bytes, int64_t prepared) {
  return {{"t_ns", at_ns},
          {"restart_lsn", "0/1"},
          {"retained_bytes", bytes},
          {"unconfirmed_bytes", 0},
          {"prepared", prepared}};
}

json Read(const char* kind, bool with, const json& stock, const json& ledger) {
  return {{"t_ns", kSecond}, {"kind", kind},    {"order", 7},
          {"with", with},    {"lsn", nullptr},  {"waited_ms", with ? json(4.0) : json()},
          {"stock", stock},  {"ledger", ledger}};
}

class DerivedFiguresTest : public SummarisedRunTest {
 protected:
  void SetUp() override {
    auto& files = sample_.rep("cdc").files;
    files["slot.ndjson"] = {Look(0, 9000, 0), Look(kSecond, 1000, 0),
                            Look(kSecond + 100 * kMillisecond, 2000, 0),
                            Look(3 * kSecond, 5 << 20, 1), Look(4 * kSecond, 3000, 0)};
    files["slot_waits.ndjson"] = {{{"started_ns", kSecond}, {"ended_ns", 3 * kSecond}},
                                  {{"started_ns", 40 * kSecond}, {"ended_ns", nullptr}}};
    files["token_reads.ndjson"] = {
        Read("own", false, false, nullptr), Read("own", false, nullptr, true),
        Read("own", true, true, nullptr),   Read("own", true, nullptr, false),
        Read("pair", false, true, false),   Read("pair", false, false, false),
        Read("pair", true, true, true),     Read("pair", true, false, true)};
  }
};

TEST_F(DerivedFiguresTest, PlantedStaleAndFracturedReadsAreCountedWithAndWithout) {
  const json rep = FirstRep("cdc");
  const json stale{{"reads", 2}, {"stale", 1}};
  EXPECT_EQ(rep.at("own_reads"), json({{"without_token", stale}, {"with_token", stale}}));
  const json torn{{"reads", 2}, {"fractured", 1}};
  EXPECT_EQ(rep.at("pair_reads"), json({{"without_cut", torn}, {"with_cut", torn}}));
  EXPECT_EQ(rep.at("token_wait_ms").at("n"), 2);
  EXPECT_EQ(rep.at("cut_wait_ms").at("max"), 4);
}

TEST_F(DerivedFiguresTest, ABrokenPromiseOfATokenOrACutIsExitElevenWithoutOneAResult) {
  const std::vector<json> all = sample_.rep("cdc").files["token_reads.ndjson"];
  for (const auto& [kind, exit] :
       {std::pair("own", 11), std::pair("pair", 11), std::pair("without", 0)}) {
    auto& reads = sample_.rep("cdc").files["token_reads.ndjson"];
    reads.clear();
    for (const json& read : all) {
      if (read.at("with") == false || read.at("kind") == kind) reads.push_back(read);
    }
    EXPECT_EQ(Judge(Summary()).exit_code(), exit) << kind;
  }
}

TEST_F(DerivedFiguresTest, RetainedLogHasADistributionAnEndAndAValueASecond) {
  const json rep = FirstRep("cdc");
  EXPECT_EQ(rep.at("retained_wal_bytes").at("n"), 5);
  EXPECT_EQ(rep.at("retained_wal_bytes").at("max"), 5 << 20);
  EXPECT_EQ(rep.at("retained_wal_end_bytes"), 3000);
  // Measured from second 1 on: the first look of each second, and none of the warm-up.
  EXPECT_EQ(rep.at("retained_wal_series"),
            json({{{"at_ms", 0.0}, {"bytes", 1000}, {"prepared", 0}},
                  {{"at_ms", 2000.0}, {"bytes", 5 << 20}, {"prepared", 1}},
                  {{"at_ms", 3000.0}, {"bytes", 3000}, {"prepared", 0}}}));
  EXPECT_EQ(rep.at("slot_wait_ms").at("n"), 2);
  EXPECT_EQ(rep.at("slot_wait_ms").at("p50"), 1000);  // cut off by the end of the repetition
  EXPECT_EQ(rep.at("slot_wait_ms").at("max"), 2000);
}

TEST_F(DerivedFiguresTest, WhatNobodyLookedAtIsNullAndInNoTable) {
  const json rep = FirstRep("2pc");
  EXPECT_TRUE(rep.at("retained_wal_series").is_null());
  EXPECT_TRUE(rep.at("own_reads").at("with_token").at("stale").is_null());
  sample_ = MakeSampleRun();
  const json summary = Summary();
  EXPECT_TRUE(TokenReadTable(summary).rows.empty());
  EXPECT_TRUE(RetainedWalTable(summary).rows.empty());
}

TEST_F(DerivedFiguresTest, EveryFormOfTheReportSaysThem) {
  const json summary = Summary();
  EXPECT_THAT(
      TokenReadTable(summary).rows.at(3),
      ElementsAre("cdc", "both stores, at one cut: fractured", "2", "1", "4.00 ms", "4.00 ms"));
  EXPECT_THAT(RetainedWalTable(summary).rows.at(2), ElementsAre("2", "5.0 MiB, in doubt"));
  EXPECT_THAT(SummaryCsv(summary), HasSubstr("cdc,cdc,1,own_reads.without_token.stale,1\n"));
  for (const std::string& text : {MarkdownReport(summary), HtmlReport({{summary, {}}})}) {
    EXPECT_THAT(text, HasSubstr(kTokenReadTitle));
    EXPECT_THAT(text, HasSubstr("own write, at once: stale"));
    EXPECT_THAT(text, HasSubstr("5.0 MiB, in doubt"));
  }
}

TEST_F(DerivedFiguresTest, AreAsTheSchemaSaysAndTheVerifierFindsAWrongOne) {
  sample_.Write(folder_.path());
  ASSERT_TRUE(WriteReports(folder_.path()));
  const std::string summary_path = folder_.path() + "/summary.json";
  const CommandResult valid = ValidateSummary(folder_.path());
  EXPECT_EQ(valid.exit_code, 0) << valid.output;
  const CommandResult agreed = VerifyRun(folder_.path());
  EXPECT_EQ(agreed.exit_code, 0) << agreed.output;

  json summary = json::parse(ReadText(summary_path));
  for (json& cell : summary.at("cells")) {
    for (json& rep : cell.at("reps")) rep.at("own_reads").at("with_token").at("stale") = 0;
  }
  std::ofstream(summary_path) << summary.dump();
  const CommandResult differs = VerifyRun(folder_.path());
  EXPECT_EQ(differs.exit_code, 1) << differs.output;
  EXPECT_THAT(differs.output, HasSubstr("own_reads.with_token.stale"));
}

}  // namespace
}  // namespace indoubt
