#include "base/text.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(IsUtf8, TakesEveryCharacterAndNothingElse) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
  for (const std::string_view bad :
       {"\xff", "\xc3", "\xa4", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
        "\xf4\x90\x80\x80", "a\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

TEST(OneLine, LeavesOneCleanLine) {
  EXPECT_EQ(OneLine("  two\n\t lines \r\n"), "two lines");
  EXPECT_EQ(OneLine(std::string_view("a\0b\x1b[1m\x7f", 8)), "a?b?[1m?");
  EXPECT_EQ(OneLine("\xc3\xa4 \xff\xc3"), "\xc3\xa4 ??");
  EXPECT_EQ(OneLine(""), "");
}

TEST(OneLine, CutsBetweenCharacters) {
  EXPECT_EQ(OneLine("12345", 5), "12345");
  EXPECT_EQ(OneLine("123456", 5), "12345...");
  EXPECT_EQ(OneLine("1234\xc3\xa4", 5), "1234...");
  EXPECT_EQ(OneLine(std::string(10'000'000, 'x')).size(), kMostMessageBytes + 3);
}

}  // namespace
}  // namespace indoubt
