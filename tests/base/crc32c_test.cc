#include "base/crc32c.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace indoubt {
namespace {

TEST(Crc32c, GivesTheCheckValueOfTheStandard) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32cByTable("123456789"), 0xE3069283u);
}

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
}

TEST(Crc32c, IsTheSameWithAndWithoutTheInstructionAndInPieces) {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  for (size_t length = 0; length < 70; ++length) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const uint32_t whole = Crc32c(bytes);
    EXPECT_EQ(Crc32cByTable(bytes), whole) << length;
    const std::string_view view = bytes;
    const size_t cut = random() % (length + 1);
    EXPECT_EQ(Crc32c(view.substr(cut), Crc32c(view.substr(0, cut))), whole) << length;
    EXPECT_EQ(Crc32cByTable(view.substr(cut), Crc32cByTable(view.substr(0, cut))), whole);
  }
}

}  // namespace
}  // namespace indoubt
