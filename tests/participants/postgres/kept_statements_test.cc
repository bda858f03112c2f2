#include "participants/postgres/kept_statements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt::pg {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Oid kBytea = 17;

std::string Text(size_t number) { return "DELETE FROM t" + std::to_string(number); }

/// Sees `text` twice; the second time is what Find gave.
KeptStatements::Found FindTwice(KeptStatements& kept, const std::string& text,
                                const std::vector<Oid>& types = {}) {
  EXPECT_EQ(kept.Find(text, types).name, "");
  return kept.Find(text, types);
}

TEST(KeptStatements, IsParsedWhenItComesAgainAndThenRunByItsName) {
  KeptStatements kept;
  const auto second = FindTwice(kept, "SELECT $1", {0});
  EXPECT_TRUE(second.parse);
  const auto third = kept.Find("SELECT $1", {0});
  EXPECT_EQ(third.name, second.name);
  EXPECT_FALSE(third.parse);
  EXPECT_EQ(kept.Find("SELECT $1", {kBytea}).name, "") << "another type, another statement";
}

TEST(KeptStatements, OneThatWasNotPreparedIsAnotherNextTime) {
  KeptStatements kept;
  kept.NotPrepared(FindTwice(kept, "SELECT 1").name);
  const auto again = FindTwice(kept, "SELECT 1");
  EXPECT_TRUE(again.parse);
  EXPECT_THAT(again.let_go, IsEmpty()) << "the server has nothing to let go";
}

TEST(KeptStatements, OneThatMayBeStaleIsLetGoAndOneThatMetAConstraintStays) {
  KeptStatements kept;
  const std::string name = FindTwice(kept, "SELECT 1").name;
  kept.Failed(name, "23505");
  EXPECT_EQ(kept.Find("SELECT 1", {}).name, name);
  kept.Failed(name, "0A000");
  const auto again = FindTwice(kept, "SELECT 1");
  EXPECT_TRUE(again.parse);
  EXPECT_NE(again.name, name);
  EXPECT_THAT(again.let_go, ElementsAre(name));
  EXPECT_THAT(FindTwice(kept, "SELECT 2").let_go, IsEmpty());
}

TEST(KeptStatements, OneIsParsedAnewWhenItsLifeIsOver) {
  KeptStatements kept;
  const TimePoint began{std::chrono::hours(1)};
  kept.StartScript(began);
  const std::string name = FindTwice(kept, "SELECT $1", {0}).name;
  kept.StartScript(began + KeptStatements::kLife - std::chrono::seconds(1));
  EXPECT_EQ(kept.Find("SELECT $1", {0}).name, name);
  kept.StartScript(began + KeptStatements::kLife);
  const auto anew = kept.Find("SELECT $1", {0});
  EXPECT_TRUE(anew.parse);
  EXPECT_NE(anew.name, name);
  EXPECT_THAT(anew.let_go, ElementsAre(name));
  EXPECT_EQ(kept.Find("SELECT $1", {0}).name, anew.name);
}

TEST(KeptStatements, WhatTheServerLostIsForgotten) {
  KeptStatements kept;
  const std::string name = FindTwice(kept, "SELECT 1").name;
  FindTwice(kept, "SELECT 2");
  kept.Failed(name, "26000");
  EXPECT_EQ(kept.Find("SELECT 2", {}).name, "");
  EXPECT_THAT(FindTwice(kept, "SELECT 3").let_go, IsEmpty());
}

TEST(KeptStatements, LeastRecentlyUsedOneMakesRoomButNoneOfTheSameScript) {
  KeptStatements kept;
  kept.StartScript(TimePoint{});
  std::vector<std::string> names;
  for (size_t i = 0; i < KeptStatements::kMostKept; ++i) {
    names.push_back(FindTwice(kept, Text(i)).name);
  }
  EXPECT_EQ(FindTwice(kept, Text(100)).name, "") << "all of this script";
  kept.StartScript(TimePoint{});
  EXPECT_EQ(kept.Find(Text(0), {}).name, names[0]);
  const auto found = FindTwice(kept, Text(101));
  EXPECT_THAT(found.let_go, ElementsAre(names[1]));
  kept.StillThere(names[1]);
  EXPECT_THAT(FindTwice(kept, Text(102)).let_go, ElementsAre(names[1], names[2]));
}

}  // namespace
}  // namespace indoubt::pg
