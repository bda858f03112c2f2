#include "experiments/report/run_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/report.h"
#include "experiments/summary/figure_names.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kRoot = INDOUBT_SOURCE_DIR;

class RunIndexTest : public ::testing::Test {
 protected:
  void Add(const std::string& name, const SampleRun& sample, bool report = true) {
    const std::string folder = folder_.path() + "/" + name;
    sample.Write(folder);
    if (!report) return;
    const auto written = WriteReports(folder);
    ASSERT_TRUE(written) << written.status().ToString();
  }
  std::vector<ListedRun> Runs() {
    const auto runs = ListRuns(folder_.path());
    EXPECT_TRUE(runs) << runs.status().ToString();
    return runs.value_or(std::vector<ListedRun>());
  }
  TemporaryFolder folder_;
};

TEST_F(RunIndexTest, RunsHaveDateScenarioStatusAndVerdictTheLatestFirst) {
  SampleRun sample = MakeSampleRun();
  Add("a", sample);
  sample.run["started_at"] = "2026-11-25T00:00:00.000Z";
  sample.rep("2pc").rep["final"]["lost_acknowledged"] = {"order:1"};
  Add("b", sample);
  sample.run["started_at"] = "2026-11-26T00:00:00.000Z";
  sample.run["status"] = "running";
  Add("c", sample, /*report=*/false);
  std::filesystem::create_directory_symlink("c", folder_.path() + "/latest");
  std::filesystem::create_directory(folder_.path() + "/no-run");
  const auto runs = Runs();
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_EQ(runs[0].id, "c");
  EXPECT_EQ(runs[0].status, "interrupted") << "nobody runs it";
  EXPECT_EQ(runs[0].resume, "indoubt run --resume " + folder_.path() + "/c");
  EXPECT_EQ(runs[1].resume, "");
  EXPECT_EQ(runs[0].verdict, "no summary");
  EXPECT_EQ(runs[1].verdict, "correctness violated");
  EXPECT_EQ(runs[2].verdict, "pass");
  EXPECT_EQ(runs[2].date, "2026-11-24T09:30:00.123Z");
  EXPECT_EQ(runs[2].scenario, "coordinator-crash");
  EXPECT_THAT(runs[2].says, HasSubstr("2pc paid writers blocked"));
}

TEST_F(RunIndexTest, WhatCannotBeReadIsListedAsSuch) {
  Add("a", MakeSampleRun());
  std::ofstream(folder_.path() + "/a/run.json") << "{";
  std::ofstream(folder_.path() + "/a/summary.json") << "{\"cells\": 3}";
  const auto runs = Runs();
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(runs[0].status, "unreadable");
  EXPECT_EQ(runs[0].verdict, "no summary");
  SampleRun sample = MakeSampleRun();
  sample.run["seed"] = nullptr;
  Add("b", sample, /*report=*/false);
  ASSERT_EQ(Runs().size(), 2U);  // first the one whose date is unknown
  EXPECT_EQ(Runs().at(1).status, "unreadable");
  EXPECT_THAT(Runs().at(1).says, HasSubstr("b/run.json: seed: is null"));
  EXPECT_EQ(ListRuns(folder_.path() + "/none").status().code(), StatusCode::kNotFound);
}

TEST_F(RunIndexTest, ThePageIsOneOfflineFileThatEscapesWhatItShows) {
  SampleRun sample = MakeSampleRun();
  sample.run["scenario"] = "<script>alert(1)</script>";
  Add("odd & \"name\"", sample);
  ASSERT_TRUE(WriteRunIndex(folder_.path()).ok());
  const std::string page = ReadText(folder_.path() + "/index.html");
  for (const char* outside : {"http://", "https://", "<script", "src="}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  EXPECT_THAT(page, HasSubstr("href=\"./odd%20%26%20%22name%22/report.html\""));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, HasSubstr("<td class=\"pass\">pass</td>"));
  const CommandResult checked =
      RunCommand("python3 '" + kRoot + "/tests/experiments/check_page.py' '" + folder_.path() +
                 "/index.html'");
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST_F(RunIndexTest, AFolderWithoutRunsGetsNoPage) {
  ASSERT_TRUE(WriteRunIndex(folder_.path()).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/index.html"));
}

TEST(FigureMeaningTest, EveryFigureHasOneLine) {
  for (const FigureName& figure : AllFigures()) {
    EXPECT_GT(figure.meaning.size(), 10U) << figure.name;
    EXPECT_EQ(figure.meaning.find('\n'), std::string_view::npos) << figure.name;
  }
}

}  // namespace
}  // namespace indoubt
