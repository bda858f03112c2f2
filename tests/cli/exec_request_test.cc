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

TEST(ParseParam, ANumberThatWouldLoseDigitsIsText) {
  for (const std::string text :
       {"12345678901234567.89", "-99999999999999999999", "-9223372036854775809",
        "9223372036854775808", "100000000000000000000", "0.1000000000000000055511151231257827",
        "1e400", "1e-400", "-1e-400", "9007199254740993.0", " 12345678901234567.89 ",
        "1e99999999999999999999", "1e-99999999999999999999",
        "4.9406564584124654417656879286822137e-324"}) {
    EXPECT_EQ(ParseParam(text), Value{text}) << text;
  }
  EXPECT_EQ(ParseParam("9223372036854775807"), Value{INT64_MAX});
  EXPECT_EQ(ParseParam("-9223372036854775808"), Value{INT64_MIN});
  const std::vector<std::pair<std::string, double>> exact{
      {"0.1", 0.1},
      {"12.50", 12.5},
      {"-0.00120", -0.0012},
      {"1e20", 1e20},
      {"1E+2", 100},
      {"120e-1", 12},
      {"0.0", 0},
      {"0e9", 0},
      {"0e999999999", 0},
      {"5e-324", 5e-324},
      {" 1.5 ", 1.5},
      {"1.7976931348623157e308", 1.7976931348623157e308},
      {"9007199254740992.0", 9007199254740992.0}};
  for (const auto& [text, number] : exact) EXPECT_EQ(ParseParam(text), Value{number}) << text;
}

TEST(StatementsFromArguments, RowsAreSaidOnceForAStatement) {
  const auto twice =
      StatementsFromArguments({"--on", "a", "DELETE FROM t", "--rows", "1", "--rows", "2"});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(twice.error().message(), HasSubstr("--rows 2: --rows 1 is given"));
  EXPECT_TRUE(StatementsFromArguments(
      {"--on", "a", "DELETE FROM t", "--rows", "1", "--on", "a", "SELECT 1", "--rows", "2"}));
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
