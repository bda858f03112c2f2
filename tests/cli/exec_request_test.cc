#include "cli/exec_request.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "faults/process.h"

namespace indoubt::cli {
namespace {

using ::testing::HasSubstr;

TEST(ParseParam, JsonScalarsHaveTheirTypeAndTheRestIsText) {
  EXPECT_EQ(ParseParam("7"), Value{int64_t{7}});
  EXPECT_EQ(ParseParam("-1.5"), Value{-1.5});
  EXPECT_EQ(ParseParam("null"), Value{});
  EXPECT_EQ(ParseParam("true"), Value{true});
  EXPECT_EQ(ParseParam("\"7\""), Value{std::string("7")});
  EXPECT_EQ(ParseParam("hello"), Value{std::string("hello")});
  EXPECT_EQ(ParseParam("007"), Value{std::string("007")});
  EXPECT_EQ(ParseParam("[1]"), Value{std::string("[1]")});
  EXPECT_EQ(ParseParam("18446744073709551615"), Value{std::string("18446744073709551615")});
}

class Statements : public ::testing::Test {
 protected:
  Result<std::vector<AddressedStatement>> Load(const std::string& text) {
    const std::string path = folder_.path() + "/t.toml";
    std::ofstream(path) << text;
    return LoadStatements(path);
  }
  ScratchFolder folder_{"indoubt-exec-request"};
};

TEST_F(Statements, AreReadInOrderWithParamsAndRows) {
  const auto statements = Load(
      "[[statement]]\non = \"a\"\ntext = \"UPDATE t SET x = $1\"\nparams = [1, \"b\"]\nrows = "
      "1\n"
      "[[statement]]\non = \"b\"\ntext = \"INCR k\"\n");
  ASSERT_TRUE(statements) << statements.error().ToString();
  ASSERT_EQ(statements->size(), 2u);
  EXPECT_EQ((*statements)[0].statement.params.size(), 2u);
  EXPECT_EQ((*statements)[0].statement.expect_rows, 1);
  EXPECT_EQ((*statements)[1].participant, "b");
}

TEST_F(Statements, UnknownKeyAndMissingTextAreErrorsWithTheirPlace) {
  const auto unknown = Load("[[statement]]\non = \"a\"\ntext = \"x\"\nrow = 1\n");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message(), HasSubstr(":4:1: statement.row: unknown key"));
  const auto missing = Load("[[statement]]\non = \"a\"\n");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message(), HasSubstr("statement.text: is missing"));
}

}  // namespace
}  // namespace indoubt::cli
