#include "experiments/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/variation.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRoot = INDOUBT_SOURCE_DIR;

class ReportTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) { return folder_.path() + "/" + name; }
  void Write() {
    sample_.Write(folder_.path());
    const auto written = WriteReports(folder_.path());
    ASSERT_TRUE(written) << written.status().ToString();
  }
  CommandResult Verify() { return VerifyRun(folder_.path()); }
  CommandResult Validate() { return ValidateSummary(folder_.path()); }
  void AddRepetitions() {
    for (size_t n = 2; n <= 7; ++n) {
      for (const char* cell : {"2pc", "cdc", "dual-write"}) {
        sample_.rep(cell, static_cast<int>(n)).files["ops.ndjson"].resize(60 + 5 * n);
      }
    }
  }
  /// Changes the written summary as a wrong programme would have.
  void Plant(const std::string& pointer, const json& value) {
    json summary = json::parse(ReadText(Path("summary.json")));
    ASSERT_TRUE(summary.contains(json::json_pointer(pointer))) << pointer;
    summary[json::json_pointer(pointer)] = value;
    std::ofstream(Path("summary.json")) << summary.dump();
  }

  SampleRun sample_ = MakeSampleRun();
  TemporaryFolder folder_;
};

TEST_F(ReportTest, TheSummaryIsAsItsSchemaSays) {
  Write();
  const CommandResult result = Validate();
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

TEST_F(ReportTest, TheSummaryOfARunWithHolesIsAsItsSchemaSaysAndVerifies) {
  sample_.rep("cdc").files.clear();
  sample_.rep("cdc").rep["final"] = nullptr;
  sample_.rep("2pc").rep = nullptr;
  sample_.rep("2pc").status = "interrupted";
  sample_.run["status"] = "interrupted";
  sample_.run["ended_at"] = nullptr;
  sample_.env = nullptr;
  Write();
  EXPECT_EQ(Validate().exit_code, 0) << Validate().output;
  EXPECT_EQ(Verify().exit_code, 0) << Verify().output;
  EXPECT_THAT(ReadText(Path("report.html")), HasSubstr("not measured"));
}

TEST_F(ReportTest, ARunDisturbedByHandSaysSoAndShowsWhatHappenedAndVerifies) {
  for (const char* cell : {"2pc", "cdc", "dual-write"}) {
    sample_.rep(cell).status = "disturbed";
    sample_.rep(cell).rep["faults"][0]["by_hand"] = true;
  }
  Write();
  EXPECT_EQ(Validate().exit_code, 0) << Validate().output;
  EXPECT_EQ(Verify().exit_code, 0) << Verify().output;
  const std::string report = ReadText(Path("report.html"));
  EXPECT_THAT(report, HasSubstr("disturbed by hand, which is no evidence"));
  EXPECT_THAT(report, HasSubstr("kill coordinator, by hand"));
  EXPECT_THAT(report, HasSubstr("coordinator down by hand"));  // its chart's band
}

TEST_F(ReportTest, AFileThatCannotBeReplacedLeavesNothingBesideIt) {
  std::filesystem::create_directories(Path("report.html/inside"));
  const Status refused = ReplaceFile(Path("report.html"), "text");
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.message(), HasSubstr(Path("report.html")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(ReportTest, TheSchemaRefusesAFigureOfTheWrongKind) {
  Write();
  Plant("/cells/0/reps/0/committed", "many");
  EXPECT_EQ(Validate().exit_code, 1);
}

TEST_F(ReportTest, VerifyAgreesWithTheSummary) {
  AddRepetitions();
  Write();
  const CommandResult result = Verify();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("the summary agrees"));
}

TEST_F(ReportTest, VerifyFindsEveryPlantedDifference) {
  AddRepetitions();
  Write();
  const std::string true_summary = ReadText(Path("summary.json"));
  for (const auto& [pointer, value] : std::vector<std::pair<std::string, json>>{
           {"/cells/0/reps/0/committed", 99},
           {"/cells/0/reps/0/response_ms/p999", 33999.0},
           {"/cells/0/reps/0/in_doubt_ms/max", 1.0},
           {"/cells/1/reps/0/in_doubt_ms", json{{"n", 0}}},
           {"/cells/1/reps/0/lag_ms/by_store/stock/max", 10999.9},
           {"/cells/2/reps/0/inconsistent/permanent", 0},
           {"/cells/2/reps/0/inconsistent/transient", nullptr},
           {"/cells/0/reps/0/faults/0/healed_at", nullptr},
           {"/cells/0/stats/throughput_per_s/median", 7.0},
           {"/cells/0/stats/committed/ci_high", nullptr},
           {"/cells/0/reps/0/recovery_idempotent", 1},
           {"/expect/1/observed", 10000.0},
           {"/expect/3/verdict", "fail"},
           {"/run/seed", 7},
           {"/env/fdatasync_us/p50", 900.0}}) {
    std::ofstream(Path("summary.json")) << true_summary;
    Plant(pointer, value);
    const CommandResult result = Verify();
    EXPECT_EQ(result.exit_code, 1) << pointer;
    std::string leaf = pointer.substr(pointer.rfind('/') + 1);
    EXPECT_THAT(result.output, HasSubstr(leaf)) << pointer;
  }
}

TEST_F(ReportTest, VerifyFindsChangedRecords) {
  Write();
  sample_.rep("2pc").files["blocked.ndjson"].pop_back();
  sample_.Write(folder_.path());
  const CommandResult result = Verify();
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("blocked_ms.n: 3; the records say 2"));
}

TEST_F(ReportTest, VerifyAsksForAWarningThatWasLeftOut) {
  sample_.env["fdatasync_us"]["p50"] = 3.0;
  Write();
  Plant("/warnings", json::array());
  EXPECT_EQ(Verify().exit_code, 1);
}

TEST_F(ReportTest, ThePageIsOneOfflineFileWhoseTextNeedsNoScript) {
  Write();
  const std::string page = ReadText(Path("report.html"));
  EXPECT_LT(page.size(), 1'000'000U);
  const std::string text = page.substr(0, page.find("</main><script>"));
  ASSERT_NE(text.size(), page.size());
  for (const char* outside : {"http://", "https://", "src=", "@import", "url(", "<link"}) {
    EXPECT_THAT(text, Not(HasSubstr(outside)));
  }
  for (const char* part :
       {"What does the death of the &lt;one&gt; who coordinates cost?",
        "writers blocked for up to", "coordinator down", "prefers-color-scheme: dark",
        "@media print", "This flips if", "What this run cannot tell",
        "How good the evidence is", "indoubt run coordinator-crash --seed 42",
        "The charts need JavaScript", "<td class=\"pass\">pass</td>",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(ReportTest, ThePageIsWellFormed) {
  Write();
  const CommandResult result = RunCommand(
      "python3 '" + kRoot + "/tests/experiments/check_page.py' '" + Path("report.html") + "'");
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

TEST_F(ReportTest, VerifyJudgesTheRecordedLastStateAgain) {
  SampleRep& rep = sample_.rep("dual-write");
  rep.files["ops.ndjson"] = {
      SampleOperation(1, "committed", 2 * kSecond, 2 * kSecond, 3 * kSecond),
      SampleOperation(2, "rolled_back", 2 * kSecond, 2 * kSecond, 3 * kSecond)};
  rep.rep["shop"] = {{"accounts", 5},
                     {"items", 5},
                     {"initial_balance", 1000},
                     {"initial_stock", 50},
                     {"initial_price", 100}};
  rep.rep["final"]["inconsistent"] = json::array();
  rep.rep["final"]["lost_acknowledged"] = json::array();
  const json row = {{"account", 3}, {"item", 5}, {"quantity", 2}, {"amount", 20}};
  const auto line = [](const char* store, const char* key, const json& value) {
    return json{{"store", store}, {"key", key}, {"value", value}};
  };
  const std::vector<json> clean{
      line("accounts", "order:1", row),
      line("stock", "order:1", "2"),
      line("ledger", "order:1", {{"account", 3}, {"item", 5}, {"amount", 20}}),
      line("accounts", "account:3", 980),
      line("stock", "stock:5", "48"),
      line("accounts", "price:4", 7),
      line("stock", "price:4", "7")};
  rep.files["state.ndjson"] = clean;
  Write();
  EXPECT_EQ(Verify().exit_code, 0) << Verify().output;
  const std::vector<std::pair<size_t, std::vector<std::string>>> missing{
      {1, {"inconsistent lacks order:1", "lost_acknowledged lacks order:1"}},
      {3, {"inconsistent lacks account:3"}},
      {4, {"inconsistent lacks stock:5"}},
      {6, {"inconsistent lacks price:4"}}};
  for (const auto& [at, found] : missing) {
    rep.files["state.ndjson"] = clean;
    rep.files["state.ndjson"].erase(rep.files["state.ndjson"].begin() +
                                    static_cast<std::ptrdiff_t>(at));
    Write();
    const CommandResult judged = Verify();
    EXPECT_EQ(judged.exit_code, 1);
    for (const std::string& each : found) EXPECT_THAT(judged.output, HasSubstr(each));
  }
  rep.files["state.ndjson"] = clean;
  rep.files["state.ndjson"].push_back(line("stock", "order:2", "1"));
  Write();
  EXPECT_THAT(Verify().output, HasSubstr("final.resurrected lacks order:2"));
}

TEST_F(ReportTest, VerifyHoldsTheFaultsAgainstTheEvents) {
  SampleRep& rep = sample_.rep("2pc");
  const json fault = rep.rep["faults"][0];
  const auto line = [&](const char* event, const char* time) {
    return json{{"event", event}, {"target", fault["target"]}, {"at_ns", fault[time]}};
  };
  auto& events = rep.files["events.ndjson"];
  events = {{{"event", "phase"}, {"phase", "stores"}, {"at_ns", 0}},
            line("fault_requested", "requested_at_ns"),
            line("fault_observed", "observed_at_ns"),
            line("fault_healed", "healed_at_ns")};
  Write();
  EXPECT_EQ(Verify().exit_code, 0) << Verify().output;
  events.pop_back();
  Write();
  EXPECT_EQ(Verify().exit_code, 1);
  EXPECT_THAT(Verify().output, HasSubstr("faults have fault_healed of coordinator"));
}

TEST_F(ReportTest, WarningsAreOnThePageAndInTheText) {
  sample_.env["fdatasync_us"]["p50"] = 3.0;
  Write();
  EXPECT_THAT(ReadText(Path("report.html")), HasSubstr("voids the verdict"));
  EXPECT_THAT(ReadText(Path("report.md")), HasSubstr("voids the verdict"));
}

TEST_F(ReportTest, TheCsvHasALineAFigureAndEmptyWhereNoneWasMeasured) {
  Write();
  const std::string csv = ReadText(Path("summary.csv"));
  EXPECT_THAT(csv, HasSubstr("cell,path,repetition,figure,value\n"));
  EXPECT_THAT(csv, HasSubstr("2pc,2pc,1,in_doubt_ms.max,10500.0\n"));
  EXPECT_THAT(csv, HasSubstr("cdc,cdc,1,in_doubt_ms,\n"));
}

TEST_F(ReportTest, WritingAgainReplacesAndLeavesNothingElse) {
  Write();
  Write();
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names,
              ::testing::UnorderedElementsAre("cells", "env.json", "run.json", "report.html",
                                              "report.md", "summary.csv", "summary.json"));
}

TEST_F(ReportTest, SeveralRunsShareAPageBehindAnIndex) {
  sample_.Write(folder_.path());
  const TemporaryFolder second;
  sample_.run["id"] = "20261124-second";
  sample_.Write(second.path());
  const Status status = WriteCombinedReport({folder_.path(), second.path()}, Path("both.html"));
  ASSERT_TRUE(status.ok()) << status.ToString();
  const std::string page = ReadText(Path("both.html"));
  EXPECT_THAT(page, HasSubstr("href=\"#20261124-sample\""));
  EXPECT_THAT(page, HasSubstr("<article id=\"20261124-second\">"));
  EXPECT_FALSE(WriteCombinedReport({}, Path("none.html")).ok());
}

/// A cell as a summary has it, with what a matrix varies.
nlohmann::json VariedCell(const std::string& path, const std::string& key,
                          const nlohmann::json& value, double blocked_ms) {
  nlohmann::json rep = {{"blocked_ms", {{"max", blocked_ms}}},
                        {"lag_ms", nullptr},
                        {"throughput_per_s", 100.0},
                        {"lost_acknowledged", 0},
                        {"inconsistent", {{"permanent", 0}}}};
  return {{"name", path + "-" + value.dump()},
          {"path", path},
          {"params", {{key, value}}},
          {"reps", nlohmann::json::array({rep})},
          {"stats",
           {{"blocked_ms.max",
             {{"median", blocked_ms}, {"ci_low", nullptr}, {"ci_high", nullptr}, {"n", 1}}},
            {"throughput_per_s",
             {{"median", 100.0}, {"ci_low", nullptr}, {"ci_high", nullptr}, {"n", 1}}}}}};
}

TEST(VariationTest, ADurationThatVariesIsTakenInSecondsAndTabled) {
  const nlohmann::json summary = {
      {"cells",
       {VariedCell("2pc", "fault.down", "15s", 15100),
        VariedCell("2pc", "fault.down", "1s", 900), VariedCell("cdc", "fault.down", "1s", 20),
        VariedCell("cdc", "fault.down", "15s", 25)}}};
  const auto parameters = VariedParameters(summary);
  ASSERT_EQ(parameters.size(), 1u);
  EXPECT_EQ(parameters[0].key, "fault.down");
  EXPECT_EQ(parameters[0].unit, "s");
  const Table table = VariationTable(summary, parameters[0]);
  EXPECT_THAT(table.rows.at(0),
              testing::ElementsAre("2pc", "15s", "100", "–", "15.1", "–", "–"));
}

TEST(VariationTest, WhatIsNoNumberOrHasOneValueDoesNotVary) {
  const nlohmann::json one = {{"cells", {VariedCell("2pc", "workload.zipf", 0.9, 1)}}};
  EXPECT_TRUE(VariedParameters(one).empty());
  const nlohmann::json words = {{"cells",
                                 {VariedCell("2pc", "fault.store", "stock", 1),
                                  VariedCell("2pc", "fault.store", "accounts", 2)}}};
  EXPECT_TRUE(VariedParameters(words).empty());
  EXPECT_TRUE(CrashPointTable(words).rows.empty());
}

TEST(VariationTest, EveryPointAtWhichAPathDiedIsARow) {
  const nlohmann::json summary = {{"cells",
                                   {VariedCell("2pc", "fault.point.2pc", "voted", 3100),
                                    VariedCell("2pc", "fault.point.2pc", "<ended>", 5)}}};
  const Table table = CrashPointTable(summary);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0][0], "voted");
  EXPECT_EQ(table.rows[0][3], "3.1 s");
  EXPECT_EQ(table.rows[0][7], "0");
}

}  // namespace
}  // namespace indoubt
