#include "base/short_text.h"

#include <string>

#include <gtest/gtest.h>

namespace indoubt {
namespace {

using Text = ShortText<5>;

TEST(ShortText, HoldsWhatItWasMadeFrom) {
  EXPECT_EQ(Text("abc").view(), "abc");
  EXPECT_EQ(Text(std::string(5, 'x')).view(), "xxxxx");
  EXPECT_EQ(Text(std::string("a\0b", 3)).size(), 3u);
  EXPECT_TRUE(Text().empty());
  EXPECT_TRUE(Text("").empty());
  EXPECT_FALSE(Text("a").empty());
}

TEST(ShortText, ComparesAsItsBytesDo) {
  EXPECT_EQ(Text("abc"), std::string("abc"));
  EXPECT_NE(Text("abc"), Text("abcd"));
  EXPECT_NE(Text("abc"), Text(std::string("abc\0", 4)));
  EXPECT_LT(Text("abc"), Text("abcd"));
  EXPECT_LT(Text("abc"), Text("b"));
  EXPECT_LT(Text(), Text("a"));
  EXPECT_LT(Text("a"), Text("\xff")) << "bytes are unsigned";
}

TEST(ShortText, NothingStaysOfALongerText) {
  Text text = "abcde";
  text = "ab";
  EXPECT_EQ(text, Text("ab"));
  text = {};
  EXPECT_EQ(text, Text());
}

TEST(ShortTextDeathTest, WhatDoesNotFitIsABug) { EXPECT_DEATH(Text("abcdef"), "abcdef"); }

}  // namespace
}  // namespace indoubt
