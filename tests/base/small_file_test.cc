#include "base/small_file.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "faults/process.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

TEST(SmallFile, IsReadWhole) {
  const ScratchFolder folder("indoubt-small-file");
  const std::string path = folder.path() + "/text", text(100'000, 'x');
  std::ofstream(path) << text;
  EXPECT_EQ(*ReadSmallFile(path), text);
  EXPECT_EQ(*ReadSmallFile("/dev/null"), "");
}

TEST(SmallFile, WhatCannotBeReadIsNamedWithTheReason) {
  const auto missing = ReadSmallFile("/no/such");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message(), "/no/such: cannot be read: No such file or directory");
  EXPECT_THAT(ReadSmallFile("/").error().message(), HasSubstr("Is a directory"));
}

TEST(SmallFile, OneWithoutAnEndIsRefused) {
  const auto endless = ReadSmallFile("/dev/zero");
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(endless.error().message(), HasSubstr("/dev/zero: is larger than 1 MiB"));
}

}  // namespace
}  // namespace indoubt
