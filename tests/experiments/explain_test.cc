#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/explain/story.h"
#include "tests/experiments/sample_run.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

/// Order 102, whose client was never answered, is g1, in doubt from 6 s to 16.5 s; order 7
/// is g7, committed.
class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    SampleRep& rep = sample_.rep("2pc");
    json& answered = rep.files["ops.ndjson"].at(7);
    answered["gid"] = "g7";
    answered["participants"] = {{{"name", "accounts"}, {"vote", "yes"}, {"ack", "committed"}},
                                {{"name", "stock"}, {"vote", "no"}, {"ack", "unknown"}}};
    rep.files["ops.ndjson"].erase(rep.files["ops.ndjson"].begin() + 103);  // censored
    rep.files["decisions.ndjson"] = {{{"file", "segment-1"},
                                      {"offset", 4096},
                                      {"sequence", 3},
                                      {"kind", "commit"},
                                      {"gid", "g7"},
                                      {"detail", "accounts (token of 8 bytes)"}}};
  }
  std::string Story(const std::string& gid) {
    sample_.Write(folder_.path());
    const auto story = TellStory(folder_.path(), gid);
    EXPECT_TRUE(story) << story.status().ToString();
    return story ? StoryText(*story) : "";
  }

  SampleRun sample_ = MakeSampleRun();
  TemporaryFolder folder_;
};

TEST_F(ExplainTest, ACommittedTransactionHasItsVotesAcknowledgementsAndDecision) {
  const std::string text = Story("g7");
  EXPECT_THAT(text, HasSubstr("g7, of 2pc repetition 1"));
  EXPECT_THAT(text, HasSubstr("+0.000  operation 7 (place_order) starts, order 7, account 3"));
  EXPECT_THAT(text, HasSubstr("+6.500  its client is answered: committed"));
  EXPECT_THAT(text, HasSubstr("accounts: vote yes, acknowledged committed"));
  EXPECT_THAT(text, HasSubstr("stock: vote no, acknowledged unknown"));
  EXPECT_THAT(text, HasSubstr("segment-1:4096: commit accounts (token of 8 bytes)"));
  EXPECT_THAT(text, HasSubstr("at the end all stores agree on its keys"));
  EXPECT_THAT(text, Not(HasSubstr("FAULT")));  // none acted while it lived
}

TEST_F(ExplainTest, ATransactionInDoubtHasItsFaultItsWaitersAndWhoSawItPrepared) {
  const std::string text = Story("g1");
  EXPECT_THAT(text, HasSubstr("+0.000  its client was not answered; it was operation 102 "
                              "(order 102), the only unanswered one under way"));
  EXPECT_THAT(text, HasSubstr("+0.000  accounts: seen prepared"));
  EXPECT_THAT(text, HasSubstr("+100.000  FAULT kill of coordinator at voted: seen to act"));
  EXPECT_THAT(text, HasSubstr("+10000.000  FAULT kill of coordinator at voted: healed"));
  EXPECT_THAT(text, HasSubstr("+1000.000  an outside writer wants account:3 in accounts and "
                              "waits 9000.0 ms"));
  EXPECT_THAT(text, HasSubstr("accounts: seen prepared for the last time, after 10500.0 ms"));
  EXPECT_THAT(text, HasSubstr("holds no decision to commit it: presumed abort"));
  EXPECT_THAT(text, Not(HasSubstr("stock:1 in stock")));  // another item's
  EXPECT_LT(text.find("seen to act"), text.find("wants account:3"));
}

TEST_F(ExplainTest, WhereItsOperationIsNotKnownEveryLongWaitIsNamed) {
  sample_.rep("2pc").files["ops.ndjson"].push_back(
      SampleOperation(110, "unknown", 5 * kSecond, 5 * kSecond, 12 * kSecond));
  const std::string text = Story("g1");
  EXPECT_THAT(text, HasSubstr("of the unanswered operations 2 were under way: 102 (order 102), "
                              "110 (order 110)"));
  EXPECT_THAT(text, HasSubstr("wants stock:1 in stock"));
  EXPECT_THAT(text, HasSubstr("which keys it wrote is not recorded"));
}

TEST_F(ExplainTest, ViolationsAndFracturedReadsOfItsOrderAreTold) {
  json& final = sample_.rep("2pc").rep["final"];
  final["inconsistent"] = {{{"key", "order:7"},
                            {"kind", "order"},
                            {"values", {{"accounts", "1"}, {"stock", nullptr}}}}};
  final["lost_acknowledged"] = {"order:7"};
  sample_.rep("2pc").files["reads.ndjson"] = {{{"t_ns", 2 * kSecond},
                                               {"order", 7},
                                               {"stores", {"accounts", "ledger"}},
                                               {"first", {true, false}},
                                               {"second", {true, false}},
                                               {"fractured", true}}};
  const std::string text = Story("g7");
  EXPECT_THAT(text, HasSubstr("a reader sees the order in accounts and, twice, not in ledger"));
  EXPECT_THAT(text, HasSubstr("the stores disagree on order:7: {\"accounts\":\"1\""));
  EXPECT_THAT(text, HasSubstr("order:7 was acknowledged and is missing"));
}

TEST_F(ExplainTest, WhatWasNotRecordedIsSaid) {
  SampleRep& rep = sample_.rep("2pc");
  rep.files.erase("decisions.ndjson");
  rep.files.erase("in_doubt.ndjson");
  rep.files["ops.ndjson"].at(7)["participants"] = nullptr;
  rep.rep["final"] = nullptr;
  const std::string text = Story("g7");
  EXPECT_THAT(text, HasSubstr("how each store voted stood in no answer"));
  EXPECT_THAT(text, HasSubstr("the coordinator's log was not kept"));
  EXPECT_THAT(text, HasSubstr("nobody watched the stores"));
  EXPECT_THAT(text, HasSubstr("the stores were not compared at the end"));
}

TEST_F(ExplainTest, AnUnknownGidNamesSomeThatThereAre) {
  sample_.Write(folder_.path());
  const Status status = TellStory(folder_.path(), "g").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("this run recorded 2 gids, for example g1, g7"));
  sample_ = MakeSampleRun();
  sample_.rep("2pc").files.erase("in_doubt.ndjson");
  std::filesystem::remove_all(folder_.path() + "/cells");
  sample_.Write(folder_.path());
  EXPECT_THAT(TellStory(folder_.path(), "g1").status().message(),
              HasSubstr("none of this run (cells 2pc, cdc, dual-write) has a gid"));
}

TEST_F(ExplainTest, AnUnknownRunNamesTheRunsBesideIt) {
  sample_.Write(folder_.path() + "/20261124-a");
  sample_.Write(folder_.path() + "/20261125-b");
  const Status status = TellStory(folder_.path() + "/no-such", "g1").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("beside it there are 20261125-b, 20261124-a"));
}

TEST_F(ExplainTest, ADamagedRecordIsNamed) {
  sample_.Write(folder_.path());
  std::ofstream(folder_.path() + "/cells/2pc/rep-1/in_doubt.ndjson") << "{\"gid\":\"g7\"\n";
  EXPECT_THAT(TellStory(folder_.path(), "g7").status().message(),
              HasSubstr("in_doubt.ndjson:1: not a JSON object"));
}

}  // namespace
}  // namespace indoubt
