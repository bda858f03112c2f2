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

TEST(ExpectTest, IntervalOfARatioPairsRepetitions) {
  json cells = {{{"name", "a"}, {"reps", json::array()}, {"stats", json::object()}},
                {{"name", "b"}, {"reps", json::array()}, {"stats", json::object()}}};
  // The machine was slow in the second one, for both alike.
  const std::vector<double> machine{100, 10, 90, 95, 105, 100, 98};
  for (size_t n = 0; n < machine.size(); ++n) {
    cells[0]["reps"].push_back(
        {{"n", n + 1},
         {"throughput_per_s", machine[n] * (1.1 + 0.01 * static_cast<double>(n))}});
    cells[1]["reps"].push_back({{"n", n + 1}, {"throughput_per_s", machine[n]}});
  }
  const auto evaluated = [&cells](const std::string& text) {
    return EvaluateCheck(*ParseCheck(text), cells);
  };
  const json low = evaluated("ci_low a.throughput_per_s / b.throughput_per_s > 1");
  EXPECT_NEAR(low.at("observed").get<double>(), 1.10, 1e-9);
  EXPECT_EQ(low.at("verdict"), "pass");
  const json high = evaluated("ci_high a.throughput_per_s / b.throughput_per_s < 1.2");
  EXPECT_NEAR(high.at("observed").get<double>(), 1.16, 1e-9);
  cells[0]["reps"][0]["status"] = "interrupted";
  cells[0]["reps"][1]["throughput_per_s"] = nullptr;
  EXPECT_EQ(evaluated("ci_low a.throughput_per_s / b.throughput_per_s > 1").at("verdict"),
            "no_data");
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
  for (const char* text :
       {"", "2pc.reads", "2pc.reads = 3", "2pc.reads == ", "a.b == 1 == 2", "reads == 3",
        "a.b / c.d / e.f > 1", "a.b * c.d > 1", "ci_low a.b > 1", "ci_mid a.b / c.d > 1"}) {
    const auto check = ParseCheck(text);
    ASSERT_FALSE(check) << text;
    EXPECT_EQ(check.error().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace indoubt
