#include "experiments/summary/expect.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

using nlohmann::json;

json Cells() {
  const auto rep = [](int n, json permanent) {
    return json{{"n", n},
                {"inconsistent", {{"transient", 0}, {"permanent", permanent}}},
                {"lost_acknowledged", 0}};
  };
  return {{{"name", "2pc"},
           {"reps", {rep(1, 0), rep(2, 3)}},
           {"stats", {{"throughput_per_s", {{"median", 80.0}}}}}},
          {{"name", "2pc.hot"},
           {"reps", {rep(1, 0), rep(2, nullptr)}},
           {"stats", {{"throughput_per_s", {{"median", 100.0}}}}}},
          {{"name", "idle"},
           {"reps", json::array()},
           {"stats", {{"throughput_per_s", {{"median", 0.0}}}}}}};
}

json Evaluated(const std::string& text) {
  const auto check = ParseCheck(text);
  EXPECT_TRUE(check) << text;
  return EvaluateCheck(*check, Cells());
}

TEST(ExpectTest, ComparesAFigureItsRatioAndAnotherFigure) {
  EXPECT_EQ(Evaluated("2pc.throughput_per_s >= 80").at("verdict"), "pass");
  EXPECT_EQ(Evaluated("2pc.throughput_per_s > 80").at("verdict"), "fail");
  const json ratio = Evaluated("2pc.throughput_per_s / 2pc.hot.throughput_per_s >= 0.8");
  EXPECT_EQ(ratio.at("verdict"), "pass");
  EXPECT_EQ(ratio.at("observed"), 0.8);
  EXPECT_EQ(Evaluated("2pc.throughput_per_s < 2pc.hot.throughput_per_s").at("verdict"), "pass");
}

TEST(ExpectTest, CorrectnessTakesTheWorstRepetition) {
  const json worst = Evaluated("2pc.inconsistent.permanent == 0");
  EXPECT_EQ(worst.at("observed"), 3);
  EXPECT_EQ(worst.at("verdict"), "fail");
}

TEST(ExpectTest, WithoutDataNothingPasses) {
  for (const char* text :
       {"2pc.lag_ms.max < 1", "gone.reads == 0", "2pc.hot.inconsistent.permanent == 0",
        "idle.lost_acknowledged == 0", "2pc.throughput_per_s / idle.throughput_per_s > 0",
        "1 <= 2pc.lag_ms.max"}) {
    const json result = Evaluated(text);
    EXPECT_EQ(result.at("verdict"), "no_data") << text;
    EXPECT_TRUE(result.at("reason").is_string()) << text;
  }
}

TEST(ExpectTest, MalformedChecksAreRefused) {
  for (const char* text : {"", "2pc.reads", "2pc.reads = 3", "2pc.reads == ", "a.b == 1 == 2",
                           "reads == 3", "a.b / c.d / e.f > 1", "a.b * c.d > 1"}) {
    const auto check = ParseCheck(text);
    ASSERT_FALSE(check) << text;
    EXPECT_EQ(check.error().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace indoubt
