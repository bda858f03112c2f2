#include "cdc/derivation.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdc/lsn.h"
#include "cdc/view.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const SourceRelation kOrders{1, "public", "orders", {{"id", 20, true}, {"note", 25, false}}};

RowChange Change(ChangeKind kind, std::optional<RowImage> before,
                 std::optional<RowImage> after) {
  return {kind, &kOrders, std::move(before), std::move(after), false};
}

std::vector<RedisCommand> Redis(const RowChange& change) {
  const auto commands = FindDerivation("rows")->redis(change);
  EXPECT_TRUE(commands);
  return *commands;
}

TEST(Derivations, UnknownNameListsTheKnownOnes) {
  RegisterDerivation("mine", {});
  EXPECT_TRUE(FindDerivation("mine"));
  const auto result = FindDerivation("nonsense");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message(), HasSubstr("mine, rows"));
}

TEST(RowsInRedis, PutAndDeleteAHash) {
  EXPECT_THAT(Redis(Change(ChangeKind::kInsert, {}, RowImage{{"id", "7"}, {"note", "x"}})),
              ElementsAre(ElementsAre("DEL", "orders:7"),
                          ElementsAre("HSET", "orders:7", "id", "7", "note", "x")));
  EXPECT_THAT(Redis(Change(ChangeKind::kDelete, RowImage{{"id", "7"}}, {})),
              ElementsAre(ElementsAre("DEL", "orders:7")));
}

TEST(RowsInRedis, KeepWhatAnUpdateDidNotCarry) {
  EXPECT_THAT(Redis(Change(ChangeKind::kUpdate, RowImage{{"id", "7"}}, RowImage{{"id", "8"}})),
              ElementsAre(ElementsAre("RENAME", "orders:7", "orders:8"),
                          ElementsAre("HSET", "orders:8", "id", "8")));
}

TEST(RowsInRedis, NullIsAbsent) {
  EXPECT_THAT(
      Redis(Change(ChangeKind::kUpdate, {}, RowImage{{"id", "7"}, {"note", {}}})),
      ElementsAre(ElementsAre("DEL", "orders:7"), ElementsAre("HDEL", "orders:7", "note"),
                  ElementsAre("HSET", "orders:7", "id", "7")));
}

TEST(RowsInRedis, NoTwoRowsShareAName) {
  // With REPLICA IDENTITY FULL a part of the key may be NULL.
  const SourceRelation pairs{2, "public", "pairs", {{"a", 25, true}, {"b", 25, true}}};
  const std::vector<std::optional<std::string>> texts{std::nullopt, "",  ":",  "%", "%00",
                                                      "%3A",        "a", "a:", ":a"};
  std::set<std::string> names;
  for (const auto& a : texts) {
    for (const auto& b : texts) {
      RowChange change{ChangeKind::kDelete, &pairs, RowImage{{"a", a}, {"b", b}}, {}, false};
      names.insert(Redis(change).at(0).at(1));
    }
  }
  EXPECT_EQ(names.size(), texts.size() * texts.size());
}

TEST(RowsInRedis, TruncateIsRefusedWithTheReason) {
  const auto result = FindDerivation("rows")->redis(Change(ChangeKind::kTruncate, {}, {}));
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message(), HasSubstr("orders"));
}

TEST(Lsn, SurvivesItsTextForm) {
  EXPECT_EQ(Lsn{0x16B374D848}.ToString(), "16/B374D848");
  EXPECT_EQ(*Lsn::Parse("16/B374D848"), Lsn{0x16B374D848});
  for (const char* text : {"", "1", "/", "1/", "/1", "g/1", "1/123456789", "1/2 "}) {
    EXPECT_FALSE(Lsn::Parse(text)) << text;
  }
}

TEST(ViewPosition, SurvivesItsTextFormAndRefusesOthers) {
  const ViewPosition position{"k3j5x2a7qz", {Lsn{0x16B374D848}, 3}};
  EXPECT_EQ(*ViewPosition::Parse(position.ToString()), position);
  EXPECT_EQ(*ViewPosition::Parse(""), ViewPosition{});
  for (const char* text : {" ", "x", "x 1/1", "x 1/1 ", "x 1/1 y", "x q 1", "x 1/1 01"}) {
    EXPECT_FALSE(ViewPosition::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace indoubt
