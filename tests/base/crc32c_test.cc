#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(Crc32c, GivesTheCheckValueOfTheStandard) { EXPECT_EQ(Crc32c("123456789"), 0xE3069283u); }

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

}  // namespace
}  // namespace indoubt
