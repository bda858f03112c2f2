// The digest of a request's statements, which decision logs hold.
#include "coordinator/request_digest.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(RequestDigestTest, StaysTheSameOverVersions) {
  const std::vector<AddressedStatement> statements = {
      {"a",
       {"UPDATE t SET x = $1",
        {Value{}, Value{true}, Value{int64_t{-7}}, Value{0.5}, Value{std::string("seven")},
         Value{Blob{"7"}}, Value{std::vector<Value>{Value{int64_t{1}}, Value{}}}},
        1}},
      {"b", {"INCRBY x 1", {}, {}}}};
  EXPECT_EQ(RequestDigest(statements), 0xcc3672a9u);
}

TEST(RequestDigestTest, OfNothingIsSomething) { EXPECT_NE(RequestDigest({}), 0u); }

TEST(RequestDigestTest, TellsWhatOnlyTogetherIsTheSame) {
  const auto of = [](std::vector<AddressedStatement> statements) {
    return RequestDigest(statements);
  };
  EXPECT_NE(of({{"a", {"bc", {}, {}}}}), of({{"ab", {"c", {}, {}}}}));
  EXPECT_NE(of({{"a", {"b", {Value{}}, {}}}}), of({{"a", {"b", {}, {}}}}));
  EXPECT_NE(of({{"a", {"b", {Value{std::string("1")}}, {}}}}),
            of({{"a", {"b", {Value{Blob{"1"}}}, {}}}}));
  EXPECT_NE(of({{"a", {"b", {}, 0}}}), of({{"a", {"b", {}, {}}}}));
  EXPECT_NE(of({{"a", {"x", {}, {}}}, {"a", {"y", {}, {}}}}),
            of({{"a", {"y", {}, {}}}, {"a", {"x", {}, {}}}}));
}

}  // namespace
}  // namespace indoubt
