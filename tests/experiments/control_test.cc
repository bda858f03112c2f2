// The same path twice: what is called no difference, and what is not.
#include "experiments/summary/control.h"

#include <cmath>
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/report/report.h"
#include "tests/experiments/draw.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr uint64_t kFirstSeed = 1000;
constexpr size_t kFigures = 3;

int Draws(int plain, int all) { return std::getenv("INDOUBT_LONG") != nullptr ? all : plain; }

json Cell(const std::string& name, json params, size_t repetitions, double slower, double sigma,
          Draw& draw) {
  json reps = json::array();
  for (size_t n = 1; n <= repetitions; ++n) {
    reps.push_back({{"n", n},
                    {"status", "done"},
                    {"throughput_per_s", draw.LogNormal(500 / slower, sigma)},
                    {"response_ms",
                     {{"p50", draw.LogNormal(10 * slower, sigma)},
                      {"p99", draw.LogNormal(50 * slower, sigma)}}}});
  }
  return {{"name", name}, {"path", "2pc"}, {"params", std::move(params)}, {"reps", reps}};
}

/// 2pc and 2pc-again, whose times are `slower` times as long.
json Twice(size_t repetitions, double slower, double sigma, uint64_t seed,
           const json& planted = json::object()) {
  Draw draw(seed);
  json params = planted;
  params["again"] = true;
  return {Cell("2pc", json::object(), repetitions, 1, sigma, draw),
          Cell("2pc-again", params, repetitions, slower, sigma, draw)};
}

std::string Text(const json& control) {
  std::string text;
  for (const std::string& each : ControlSentences({{"control", control}})) text += each + "\n";
  return text;
}

size_t Differences(const json& control) {
  size_t found = 0;
  for (const json& entry : control) found += entry.at("verdict") == "difference";
  return found;
}

// Each figure's interval holds at 99 percent: at most 3 of 100 controls find one of three. The
// bound is passed in one of a thousand such tests; the seeds are fixed.
TEST(ControlTest, TheSameTwiceIsNoDifferenceButForWhatChanceGives) {
  const int draws = Draws(2'000, 50'000);
  for (const double sigma : {0.02, 0.3}) {
    int alarms = 0;
    for (int i = 0; i < draws; ++i) {
      const json control =
          CompareControls(Twice(10, 1, sigma, kFirstSeed + static_cast<uint64_t>(i)));
      ASSERT_THAT(control, SizeIs(kFigures));
      alarms += Differences(control) > 0 ? 1 : 0;
    }
    const double share = 0.01 * kFigures;
    EXPECT_LE(alarms, share * draws + 3.1 * std::sqrt(share * (1 - share) * draws))
        << "sigma " << sigma << ", seeds " << kFirstSeed << " to "
        << kFirstSeed + static_cast<uint64_t>(draws) - 1;
    EXPECT_GT(alarms, 0) << "an interval that never misses is too wide";
  }
}

TEST(ControlTest, APlantedSlowdownOfAFifthIsFoundInEveryFigure) {
  const int draws = Draws(500, 10'000);
  int found = 0;
  for (int i = 0; i < draws; ++i) {
    found += Differences(CompareControls(
                 Twice(10, 1.2, 0.05, kFirstSeed + static_cast<uint64_t>(i)))) == kFigures
                 ? 1
                 : 0;
  }
  EXPECT_GE(found, 0.99 * draws) << "seeds from " << kFirstSeed;
}

TEST(ControlTest, ItIsSaidWithItsBoundsAndWithWhatWasPlanted) {
  const json same = CompareControls(Twice(10, 1, 0.02, 7));
  EXPECT_THAT(Text(same),
              HasSubstr("2pc-again against 2pc, the same twice: throughput_per_s: no "
                        "difference ("));
  EXPECT_THAT(Text(same), HasSubstr("at 99 percent)"));
  EXPECT_THAT(ControlWarnings(same), IsEmpty());

  const json planted = CompareControls(Twice(10, 1.2, 0.02, 7, {{"fault.latency", "12ms"}}));
  EXPECT_THAT(Text(planted), HasSubstr("with {\"fault.latency\":\"12ms\"} planted"));
  EXPECT_THAT(Text(planted), HasSubstr("response_ms.p50: difference (+"));
  EXPECT_THAT(Text(planted), Not(HasSubstr("no difference")));
  EXPECT_THAT(ControlWarnings(planted), IsEmpty()) << "it was asked for";
  EXPECT_THAT(ControlWarnings(CompareControls(Twice(10, 1.2, 0.02, 7))), SizeIs(kFigures));
}

TEST(ControlTest, FourRepetitionsCannotTellAndWithoutAControlThereIsNothing) {
  const json few = CompareControls(Twice(4, 2, 0.01, 7));
  for (const json& entry : few) {
    EXPECT_EQ(entry.at("verdict"), "cannot tell");
    EXPECT_TRUE(entry.at("level").is_null());
  }
  EXPECT_THAT(Text(few), HasSubstr("an interval takes 5 repetitions"));
  json alone = Twice(10, 1, 0.02, 7);
  alone.erase(1);
  EXPECT_THAT(CompareControls(alone), IsEmpty());
}

TEST(ControlTest, TheReportSaysItAndTheRecordsAgree) {
  SampleRun sample = MakeSampleRun();
  SampleRep again = sample.rep("2pc");
  again.cell = "2pc-again";
  again.params["again"] = true;
  sample.reps.push_back(again);
  for (int n = 2; n <= 6; ++n) {
    for (const char* cell : {"2pc", "2pc-again"}) sample.rep(cell, n);
  }
  const TemporaryFolder folder;
  sample.Write(folder.path());
  const auto summary = WriteReports(folder.path());
  ASSERT_TRUE(summary) << summary.status().ToString();
  EXPECT_EQ(summary->at("control").at(1).at("verdict"), "no difference");
  for (const char* report : {"/report.md", "/report.html"}) {
    EXPECT_THAT(ReadText(folder.path() + report),
                HasSubstr("response_ms.p50: no difference (+0.0 percent"));
  }
  const CommandResult verified = VerifyRun(folder.path());
  EXPECT_EQ(verified.exit_code, 0) << verified.output;
}

}  // namespace
}  // namespace indoubt
