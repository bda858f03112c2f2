#include "participants/redis/redis_statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(const std::string& text, std::vector<Value> params = {}) {
  const auto words = SplitRedisLine({text, std::move(params), {}});
  return words ? *words : std::vector<std::string>{"error: " + words.error().message()};
}

TEST(RedisLine, SplitsAndUnquotesAsRedisCli) {
  EXPECT_THAT(Split("SET  k   v"), ElementsAre("SET", "k", "v"));
  EXPECT_THAT(Split(R"(SET k "a b\n\x41\"")"), ElementsAre("SET", "k", "a b\nA\""));
  EXPECT_THAT(Split(R"(SET k 'it\'s \n')"), ElementsAre("SET", "k", R"(it's \n)"));
  EXPECT_THAT(Split(R"(SET k "")"), ElementsAre("SET", "k", ""));
}

TEST(RedisLine, ParamsStandForWholeArguments) {
  EXPECT_THAT(Split("SET $1 $2", {{std::string("a b")}, {int64_t{7}}}),
              ElementsAre("SET", "a b", "7"));
  EXPECT_THAT(Split("SET k '$1'"), ElementsAre("SET", "k", "$1"));
  EXPECT_THAT(Split("SET k$1 v"), ElementsAre("SET", "k$1", "v"));
}

TEST(RedisLine, WhatCannotBeReadIsAnError) {
  for (const char* line : {"", "   ", "SET k \"v", "SET k 'v'x", "GET $1"}) {
    EXPECT_FALSE(SplitRedisLine({line, {}, {}})) << line;
  }
  EXPECT_FALSE(SplitRedisLine({"GET k", {{int64_t{1}}}, {}})) << "an unused parameter";
}

}  // namespace
}  // namespace indoubt
