#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/stores/store_clients.h"

namespace indoubt {
namespace {

using testing::ElementsAre;

TEST(RedisArguments, SplitsLikeRedisCliAndPutsParametersInWhole) {
  const Statement statement{"SET $1 'a b' \"\" $2 $3", {Value{"k e y"}, Value{int64_t{7}}}, {}};
  EXPECT_THAT(SplitRedisStatement(statement).value(),
              ElementsAre("SET", "k e y", "a b", "", "7", "$3"));
}

TEST(RedisArguments, QuotedPlaceholderIsText) {
  const Statement statement{"SET k '$1'", {Value{"v"}}, {}};
  EXPECT_THAT(SplitRedisStatement(statement).value(), ElementsAre("SET", "k", "$1"));
}

TEST(RedisArguments, OpenQuoteIsAnError) {
  const Statement statement{"SET k 'v", {}, {}};
  EXPECT_EQ(SplitRedisStatement(statement).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace indoubt
