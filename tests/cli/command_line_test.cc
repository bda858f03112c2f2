// What is said of words that are no command.
#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/near_word.h"

namespace indoubt::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class CommandLineTest : public ::testing::Test {
 protected:
  CommandLineTest() {
    Verb run = line_.program().Add("run", "Runs");
    run.Value("SCENARIO", scenario_, "Which");
    run.FlagOrValue("--live", live_, "A page");
    run.Value("--repeat", repeat_, "How often");
    run.Does([] { return 7; });
    Verb cdc = line_.program().Add("cdc", "Derived views");
    cdc.Add("status", "How far").Does([] { return 8; });
    cdc.Add("wait", "Until").Does([] { return 9; });
    line_.program().Add("lab", "Nobody's business").Hide();
  }
  std::string Complaint(std::vector<std::string> words) {
    const auto action = line_.Parse(std::move(words));
    EXPECT_FALSE(action);
    if (action) return "";
    EXPECT_EQ(action.error().code(), StatusCode::kInvalidArgument);
    return action.error().message();
  }

  CommandLine line_{"indoubt", "A test", "0"};
  std::string scenario_, live_;
  int repeat_ = 0;
};

TEST_F(CommandLineTest, AnUnknownVerbIsNamedWithTheOneThatWasMeantAndWithAll) {
  EXPECT_EQ(Complaint({"rnu", "x"}),
            "indoubt: unknown verb 'rnu' (did you mean run?); there are run, cdc; see indoubt "
            "--help");
  EXPECT_EQ(Complaint({"cdc", "frob"}),
            "indoubt cdc: unknown verb 'frob'; there are status, wait; see indoubt cdc --help");
  EXPECT_EQ(Complaint({}), "indoubt: name a verb: run, cdc; see indoubt --help");
  EXPECT_EQ(Complaint({"cdc"}),
            "indoubt cdc: name a verb: status, wait; see indoubt cdc --help");
  EXPECT_THAT(Complaint({"--versoin"}), HasSubstr("unknown option '--versoin'"));
}

TEST_F(CommandLineTest, WordsTooManyAreNamedAndAValueThatStandsApartIsExplained) {
  EXPECT_EQ(Complaint({"run", "quiet", "--repaet", "3"}),
            "indoubt run: not expected: '--repaet' (did you mean --repeat?), '3'; see indoubt "
            "run --help");
  EXPECT_THAT(Complaint({"run", "--live", "8080", "quiet"}),
              HasSubstr("a value of --live is written --live=8080"));
}

TEST_F(CommandLineTest, AHostileWordDoesNotReachTheTerminalAsItIs) {
  const std::string said = Complaint({"\x1b[31m" + std::string(5000, 'a')});
  EXPECT_THAT(said, Not(HasSubstr("\x1b")));
  EXPECT_LT(said.size(), 300U);
}

TEST_F(CommandLineTest, WhatIsRightIsDone) {
  const auto action = line_.Parse({"run", "--live=8080", "quiet"});
  ASSERT_TRUE(action);
  EXPECT_EQ((*action)(), 7);
  EXPECT_EQ(live_, "8080");
  EXPECT_EQ(scenario_, "quiet");
}

TEST(NearWord, IsTheOneWithTheFewestChangesOrNone) {
  EXPECT_EQ(NearWord("stauts", {"start", "status"}), "status");
  EXPECT_EQ(NearWord("lst", {"run", "list"}), "list");
  EXPECT_EQ(NearWord("frobnicate", {"run", "list"}), "");
  EXPECT_EQ(NearWord("x", {"y"}), "") << "nothing of it would be left";
  EXPECT_EQ(NearWord("", {"run"}), "");
}

}  // namespace
}  // namespace indoubt::cli
