#include "base/byte_size.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(ByteSize, TakesWholeNumbersWithAUnit) {
  EXPECT_EQ(ParseByteSize("1B").value_or(0), 1u);
  EXPECT_EQ(ParseByteSize("512KiB").value_or(0), 512u << 10);
  EXPECT_EQ(ParseByteSize("3MiB").value_or(0), 3u << 20);
  EXPECT_EQ(ParseByteSize("20GiB").value_or(0), uint64_t{20} << 30);
  EXPECT_EQ(ParseByteSize("4194304TiB").value_or(0), uint64_t{1} << 62);
}

TEST(ByteSize, RefusesAnythingElseAndShowsIt) {
  for (const char* wrong : {"", "5", "GiB", "0GiB", "-1B", "1.5GiB", "1GB", "1gib", "1 GiB",
                            "4194305TiB", "99999999999999999999B"}) {
    const auto size = ParseByteSize(wrong);
    ASSERT_FALSE(size) << wrong;
    EXPECT_EQ(size.error().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(size.error().message().find(std::string("\"") + wrong), std::string::npos);
  }
}

}  // namespace
}  // namespace indoubt
