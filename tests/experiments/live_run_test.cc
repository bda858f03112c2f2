// A run on real stores that somebody watches, and breaks by hand.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/live/live_view.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/summary.h"
#include "tests/experiments/live_fixture.h"
#include "tests/experiments/run_fixture.h"

namespace indoubt {
namespace {

using nlohmann::json;
using testing::Contains;
using testing::HasSubstr;

constexpr const char* kQuiet = R"(name = "by-hand"
question = "?"
[matrix]
paths = ["2pc"]
[load]
rate_per_s = 60
clients = 16
warmup = "500ms"
duration = "6s"
)";

class LiveRunTest : public RunTest {
 protected:
  void SetUp() override {
    RunTest::SetUp();
    auto view = LiveView::Start(0, hand_);
    ASSERT_TRUE(view) << view.error().ToString();
    view_ = std::move(*view);
    options_.by_hand = &hand_;
    options_.begun = [this](const Scenario& scenario, const std::string& folder) {
      view_->Begun(scenario, folder);
    };
    options_.progress = [this](const RunProgress& progress) {
      view_->Progress(progress);
      if (!progress.event.empty()) events_.push_back(progress.event);
      if (act_) act_(progress);
    };
  }
  std::string Ask(const std::string& action, const std::string& target,
                  const std::string& cell) {
    const LiveAddress address(view_->url());
    return address.Ask(address.Post(
        json{{"action", action}, {"target", target}, {"cell", cell}, {"rep", 1}}.dump()));
  }
  RunResult Run(const std::vector<std::string>& overrides = {}) {
    const auto scenario = ParseScenario(kQuiet, "by-hand.toml", overrides);
    EXPECT_TRUE(scenario) << scenario.status().ToString();
    auto result = RunScenario(*scenario, options_);
    EXPECT_TRUE(result) << result.status().ToString();
    return result ? *result : RunResult{};
  }
  ByHand hand_;
  std::unique_ptr<LiveView> view_;
  std::vector<std::string> events_;
  std::function<void(const RunProgress&)> act_;
};

TEST_F(LiveRunTest, APluggedOutCoordinatorIsSeenRecordedAndNoEvidence) {
  std::string early, killed, twice, restarted;
  act_ = [&](const RunProgress& now) {
    if (now.phase == "stores" && early.empty()) early = Ask("kill", "coordinator", "2pc");
    if (now.phase != "measure") return;
    if (killed.empty()) killed = Ask("kill", "coordinator", "2pc");
    // Dead by hand for a while.
    if (now.fault.empty() || *now.since_s < 3) return;
    if (twice.empty()) twice = Ask("kill", "coordinator", "2pc");
    if (restarted.empty()) restarted = Ask("restart", "coordinator", "2pc");
  };
  const RunResult result = Run();
  EXPECT_EQ(result.status, "done");
  EXPECT_THAT(early, HasSubstr("no path is under load"));
  EXPECT_THAT(killed, HasSubstr("202"));
  EXPECT_THAT(twice, HasSubstr("it is dead already"));
  EXPECT_THAT(restarted, HasSubstr("202"));
  EXPECT_THAT(events_, testing::ElementsAre("coordinator killed by hand",
                                            "coordinator restarted by hand"));
  const json run = ReadJson(result.folder + "/run.json");
  EXPECT_EQ(run["cells"][0]["reps"][0]["status"], "disturbed");
  const json rep = ReadJson(result.folder + "/cells/2pc/rep-1/rep.json");
  ASSERT_EQ(rep["faults"].size(), 1u) << rep["faults"];
  const json& fault = rep["faults"][0];
  EXPECT_EQ(fault["kind"], "kill");
  EXPECT_EQ(fault["target"], "coordinator");
  EXPECT_EQ(fault["by_hand"], true);
  EXPECT_LE(fault["requested_at_ns"].get<int64_t>(), fault["observed_at_ns"].get<int64_t>());
  EXPECT_GT(fault["healed_at_ns"].get<int64_t>() - fault["observed_at_ns"].get<int64_t>(),
            1'000'000'000);
  EXPECT_TRUE(rep["final"]["inconsistent"].empty());
  const auto summary = Summarise(result.folder);
  ASSERT_TRUE(summary) << summary.error().ToString();
  EXPECT_TRUE((*summary)["cells"][0]["stats"].empty());
  const RunJudgement judgement = Judge(*summary);
  EXPECT_EQ(judgement.verdict, RunVerdict::kInconclusive);
  EXPECT_THAT(judgement.reasons, Contains(HasSubstr("disturbed by hand")));
  EXPECT_THAT(VerdictText(*summary), HasSubstr("was disturbed by hand"));
}

TEST_F(LiveRunTest, WhatIsDeadByHandAtTheEndIsHealedAlsoWhenTheRunIsStopped) {
  std::atomic<bool> stop{false};
  options_.stop = &stop;
  bool asked = false;
  act_ = [&](const RunProgress& now) {
    if (now.phase == "measure" && !std::exchange(asked, true)) {
      EXPECT_THAT(Ask("kill", "cdc-worker", "cdc"), HasSubstr("202"));
    }
    if (!now.fault.empty()) stop = true;
  };
  const RunResult result = Run({R"(matrix.paths=["cdc"])"});
  EXPECT_EQ(result.status, "interrupted");
  const json rep = ReadJson(result.folder + "/cells/cdc/rep-1/rep.json");
  ASSERT_EQ(rep["faults"].size(), 1u) << rep;
  EXPECT_TRUE(rep["faults"][0]["healed_at_ns"].is_number());
  EXPECT_TRUE(rep["final"]["inconsistent"].empty());
  EXPECT_EQ(rep["final"]["recovery_idempotent"], true);
}

TEST_F(LiveRunTest, ThePlannedFaultWaitsForWhoIsDeadByHandAndThenStrikes) {
  bool asked = false, healed = false;
  act_ = [&](const RunProgress& now) {
    if (now.phase != "measure") return;
    if (!std::exchange(asked, true)) {
      EXPECT_THAT(Ask("kill", "coordinator", "2pc"), HasSubstr("202"));
    }
    // The planned one would have been due long ago.
    if (now.fault == "coordinator killed by hand" && *now.since_s > 1.5 &&
        !std::exchange(healed, true)) {
      EXPECT_THAT(Ask("restart", "coordinator", "2pc"), HasSubstr("202"));
    }
    if (now.fault == "coordinator killed") {
      EXPECT_THAT(Ask("restart", "coordinator", "2pc"), HasSubstr("the scenario "));
    }
  };
  const RunResult result =
      Run({R"(fault=[{at="1s", kind="kill", point={2pc="voted"}, down="500ms"}])"});
  EXPECT_EQ(result.status, "done");
  // Between the two pairs it may say that the planned one is asked for.
  ASSERT_GE(events_.size(), 4u);
  EXPECT_THAT(
      std::vector(events_.begin(), events_.begin() + 2),
      testing::ElementsAre("coordinator killed by hand", "coordinator restarted by hand"));
  EXPECT_THAT(std::vector(events_.end() - 2, events_.end()),
              testing::ElementsAre("coordinator killed", "coordinator restarted"));
  const json rep = ReadJson(result.folder + "/cells/2pc/rep-1/rep.json");
  ASSERT_EQ(rep["faults"].size(), 2u) << rep["faults"];
  EXPECT_EQ(rep["faults"][0]["by_hand"], false);
  EXPECT_EQ(rep["faults"][1]["by_hand"], true);
}

TEST_F(LiveRunTest, APathWithoutAProcessSaysSo) {
  std::string refused;
  act_ = [&](const RunProgress& now) {
    if (now.phase == "measure" && refused.empty()) refused = Ask("kill", "coordinator", "raw");
    ASSERT_TRUE(!now.by_hand ||
                now.by_hand->kill_refused.find("no process") != std::string::npos);
  };
  const RunResult result = Run({R"(matrix.paths=["raw"])", "load.duration=1s"});
  EXPECT_EQ(result.status, "done");
  EXPECT_THAT(refused, HasSubstr("raw, has no coordinator of its own"));
  EXPECT_EQ(ReadJson(result.folder + "/run.json")["cells"][0]["reps"][0]["status"], "done");
}

}  // namespace
}  // namespace indoubt
