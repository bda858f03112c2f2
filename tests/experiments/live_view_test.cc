// What a page is told, what it may ask, and what it is told when it comes late.
#include "experiments/live/live_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "experiments/by_hand.h"
#include "experiments/live/live_history.h"
#include "experiments/live/live_page.h"
#include "experiments/live/live_sample.h"
#include "tests/experiments/live_fixture.h"

namespace indoubt {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

RunProgress Measuring() {
  RunProgress progress;
  progress.cell = "cdc";
  progress.path = "cdc";
  progress.rep = 2;
  progress.reps = 3;
  progress.phase = "measure";
  progress.since_s = 3.25;
  progress.committed = 120;
  progress.observed.emplace();
  progress.observed->lag = {{"stock", std::chrono::milliseconds(1500)}};
  progress.observed->unconfirmed_bytes = 4096;
  progress.by_hand = HandOffer{"cdc", 2, "cdc-worker", "", "it is running"};
  return progress;
}

TEST(LiveSampleTest, SaysWhatWasObservedAndNullForWhatWasNot) {
  const json sample = LiveSample(7, Measuring(), {98.0, std::nullopt});
  EXPECT_EQ(sample["since_s"], 3.25);
  EXPECT_TRUE(sample["in_doubt"].is_null());  // nothing is ever prepared there
  EXPECT_EQ(sample["waiters"], 0);
  EXPECT_EQ(sample["lag_s"], json({{"stock", 1.5}}));
  EXPECT_EQ(sample["lag_bytes"], 4096);
  EXPECT_EQ(sample["committed_per_s"], 98.0);
  EXPECT_TRUE(sample["errors_per_s"].is_null());
  EXPECT_TRUE(sample["process"]["kill"].is_null());
  EXPECT_EQ(sample["process"]["restart"], "it is running");
  RunProgress comparing;
  comparing.phase = "compare";
  const json nothing = LiveSample(8, comparing, {});
  EXPECT_TRUE(nothing["waiters"].is_null());
  EXPECT_TRUE(nothing["process"].is_null());
}

TEST(LiveHistoryTest, StaysSmallHoweverLongTheRunIsAndEndsWithTheNewest) {
  LiveHistory history;
  history.SetRun("run;");
  size_t most = 0;
  for (int i = 0; i < 20'000; ++i) {
    history.AddSample("cell" + std::to_string(i / 2500), 1, fmt::format("s{};", i));
    history.AddHappening(fmt::format("h{};", i));
    // Each time would be most of what this test costs, minutes with a sanitizer.
    if (i % 97 == 0) most = std::max(most, history.Text().size());
  }
  EXPECT_LT(most, 4 * 400 * 8 + 100 * 8 + 100);
  EXPECT_THAT(history.Text(), StartsWith("run;s10000;"));
  EXPECT_THAT(history.Text(), HasSubstr(";s19999;h19900;"));
  // A further repetition takes the place of the one before.
  EXPECT_THAT(history.Text(), HasSubstr("s17500;"));
  history.AddSample("cell7", 2, "again;");
  EXPECT_THAT(history.Text(), Not(HasSubstr("s17500;")));
}

TEST(ByHandTest, WhatIsAskedForIsTakenOnceAndOnlyIfItIsOffered) {
  ByHand hand;
  const HandRequest kill{HandAction::kKill, "coordinator", "2pc", 1};
  EXPECT_THAT(hand.Ask(kill).message(), HasSubstr("no path is under load"));
  HandOffer offer{"2pc", 1, "coordinator", "", "it is running"};
  hand.Offer(offer);
  HandRequest other = kill;
  other.rep = 2;
  EXPECT_THAT(hand.Ask(other).message(), HasSubstr("is not what runs now"));
  other = kill;
  other.target = "cdc-worker";
  EXPECT_THAT(hand.Ask(other).message(), HasSubstr("2pc, has no cdc-worker"));
  other = kill;
  other.action = HandAction::kRestart;
  EXPECT_THAT(hand.Ask(other).message(), HasSubstr("coordinator: it is running"));
  EXPECT_FALSE(hand.Take());
  EXPECT_TRUE(hand.Ask(kill).ok());
  EXPECT_THAT(hand.Ask(kill).message(), HasSubstr("asked for already"));
  EXPECT_EQ(hand.Take(), HandAction::kKill);
  EXPECT_FALSE(hand.Take());
  EXPECT_TRUE(hand.Ask(kill).ok());
  offer.rep = 2;
  hand.Offer(offer);  // it was meant for the repetition before
  EXPECT_FALSE(hand.Take());
  hand.Withdraw();
  EXPECT_FALSE(hand.Ask(kill).ok());
}

TEST(LivePageTest, ItsPolicyLetsItAskNobodyButItsServer) {
  EXPECT_THAT(LivePolicy(), HasSubstr("default-src 'none'"));
  EXPECT_THAT(LivePolicy(), HasSubstr("connect-src 'self'"));
  EXPECT_THAT(LivePage(), Not(HasSubstr("src=\"http")));
}

TEST(LiveViewTest, APageThatComesLateIsToldTheSameAndMayAct) {
  ByHand hand;
  auto view = LiveView::Start(0, hand);
  ASSERT_TRUE(view) << view.error().ToString();
  const LiveAddress address((*view)->url());
  const auto scenario = LoadScenario("coordinator-crash");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  (*view)->Begun(*scenario, "/runs/one");
  hand.Offer(*Measuring().by_hand);
  RunProgress progress = Measuring();
  (*view)->Progress(progress);
  progress.event = "cdc-worker killed by hand";
  (*view)->Progress(progress);
  HttpClient late(address.port);
  late.Send(address.Get("events"));
  const std::string& told = late.ReadUntilText("killed by hand");
  EXPECT_THAT(told, HasSubstr(R"({"name":"coordinator","path":"2pc"})"));
  EXPECT_THAT(told, HasSubstr("\"folder\":\"/runs/one\""));
  EXPECT_THAT(told, HasSubstr("\"lag_bytes\":4096"));
  const std::string act = R"({"action":"kill","target":"cdc-worker","cell":"cdc","rep":2})";
  EXPECT_THAT(address.Ask(address.Post(act)), StartsWith("HTTP/1.1 202"));
  EXPECT_EQ(hand.Take(), HandAction::kKill);
  for (const char* wrong : {"", "[]", "{}", R"({"action":"kill"})", R"({"action":5,"rep":1})",
                            R"({"action":"reboot","target":"cdc-worker","rep":2})"}) {
    EXPECT_THAT(address.Ask(address.Post(wrong)), StartsWith("HTTP/1.1 400")) << wrong;
  }
  EXPECT_FALSE(hand.Take());
  (*view)->Ended("The run is done.", "/runs/one/report.html");
  EXPECT_THAT(late.ReadAll(), HasSubstr("\"report\":\"/runs/one/report.html\""));
}

}  // namespace
}  // namespace indoubt
