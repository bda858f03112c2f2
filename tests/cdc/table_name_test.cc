#include "cdc/table_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdc/derivation.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(TableName, IsReadAsPostgresReadsIt) {
  const std::pair<std::string, std::string> cases[] = {
      {"orders", "orders"},
      {"Orders", "orders"},
      {"shop.ORDERS", "orders"},
      {"db.shop.orders", "orders"},
      {" shop . Orders ", "orders"},
      {"\"Orders\"", "Orders"},
      {"shop.\"Order Items\"", "Order Items"},
      {"\"My.Shop\".orders", "orders"},
      {"shop.\"a.b\"", "a.b"},
      {"\"say \"\"so\"\"\"", "say \"so\""},
      {"\"1234\"", "1234"},
      {"B\xC3\x9C"
       "CHER",
       "b\xC3\x9C"
       "cher"},
  };
  for (const auto& [text, name] : cases) {
    const auto read = BareTableName(text);
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_EQ(*read, name) << text;
  }
}

TEST(TableName, WhatPostgresWouldNotTakeOrWouldCutIsRefused) {
  for (const std::string& text :
       {std::string(), std::string(" "), std::string("."), std::string("shop."),
        std::string(".orders"), std::string("\"orders"), std::string("\"\""),
        std::string("order items"), std::string("\"a\"b"), std::string("a.b.c.d"),
        std::string("16384"), std::string(64, 'a'), '"' + std::string(64, 'a') + '"'}) {
    const auto read = BareTableName(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(read.error().message(), HasSubstr("SCHEMA.TABLE"));
  }
  EXPECT_TRUE(BareTableName(std::string(63, 'a')));
  EXPECT_FALSE(BareTableNames({"orders", "\"orders"}));
}

TEST(TableName, TwoOfOneNameAreRefused) {
  const auto names = BareTableNames({"shop.orders", "archive.\"orders\""});
  ASSERT_FALSE(names);
  EXPECT_EQ(names.error().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(names.error().message(), HasSubstr("two tables are named orders"));
}

TEST(TableName, OneUnderWhichWeKeepThingsOfOurOwnIsRefused) {
  // Row "prepared" of the first would be the key indoubt:prepared of a Redis participant, and
  // indoubt:* all that is to be removed before the view is derived anew.
  for (const char* name : {"indoubt", "shop.INDOUBT", "\"Indoubt_cdc_position\"", "indoubt_"}) {
    const auto names = BareTableNames({"orders", name});
    ASSERT_FALSE(names) << name;
    EXPECT_EQ(names.error().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(names.error().message(), HasSubstr("rename it"));
  }
  EXPECT_TRUE(BareTableNames({"indoubts", "indoubt.orders", "no_indoubt_"}));
}

TEST(TableName, KeysOfARedisViewAreFoundByIt) {
  const auto names = BareTableNames({"shop.Orders", "\"Order Items\""});
  ASSERT_TRUE(names) << names.error().ToString();
  EXPECT_THAT(FindDerivation("rows")->redis_keys(*names),
              ElementsAre("orders:*", "Order Items:*"));
}

}  // namespace
}  // namespace indoubt
