#include "base/gid.h"

#include <gtest/gtest.h>

namespace indoubt {
namespace {

Gid Sample() { return Gid{"shop-1", *LogId::Parse("k3j5x2a7qz"), 2, 500}; }

TEST(Gid, SurvivesItsTextForm) {
  EXPECT_EQ(Sample().ToString(), "shop-1.k3j5x2a7qz.2.1f4");
  EXPECT_EQ(*Gid::Parse("shop-1.k3j5x2a7qz.2.1f4"), Sample());
}

TEST(Gid, LongestFormsFitTheLimitsOfXa) {
  const Gid longest{std::string(32, 'n'), LogId::Random(), 0xfffff, 0xfffffffffff};
  EXPECT_LE(longest.ToString().size(), 64u);
  const BranchId branch{longest, std::string(32, 'p')};
  EXPECT_LE(branch.ToString().size(), 120u);
  EXPECT_EQ(*BranchId::Parse(branch.ToString()), branch);
}

TEST(Gid, SaysWhereItsDecisionLives) {
  Gid gid = Sample();
  gid.home = "q4tz7";
  EXPECT_EQ(gid.ToString(), "shop-1.k3j5x2a7qz.2.1f4.q4tz7");
  EXPECT_EQ(*Gid::Parse(gid.ToString()), gid);
  EXPECT_EQ(Gid::Parse(Sample().ToString())->home, "");
  EXPECT_NE(gid, Sample());
  const std::string home = RandomHome();
  EXPECT_TRUE(IsValidHome(home)) << home;
  EXPECT_FALSE(IsValidHome("Q4TZ7"));
}

TEST(Gid, LongestFormWithAHomeFitsAnApplicationName) {
  const Gid longest{std::string(kMaxNodeLengthWithHome, 'n'), LogId::Random(), 0xfffff,
                    0xfffffffffff, RandomHome()};
  EXPECT_LE(longest.ToString().size(), 63u);
}

TEST(Gid, RefusesEveryOtherText) {
  using std::string_literals::operator""s;
  for (const std::string& text : {""s,
                                  "x"s,
                                  "a.b.c.d"s,
                                  "shop.k3j5x2a7qz.2"s,
                                  "shop.k3j5x2a7qz.2.1f4.5"s,
                                  "shop.k3j5x2a7qz.02.1"s,
                                  "shop.k3j5x2a7qz.2.1F4"s,
                                  "shop.k3j5x2a7qz.0.1"s,
                                  "shop.k3j5x2a7qz.2."s,
                                  ".k3j5x2a7qz.2.1"s,
                                  "sh op.k3j5x2a7qz.2.1"s,
                                  "shop\0x.k3j5x2a7qz.2.1"s,
                                  "shop.K3J5X2A7QZ.2.1"s,
                                  "shop.k3j5x2a7qz.100000.1"s,
                                  "shop.k3j5x2a7qz.1.100000000000"s,
                                  "shop.k3j5x2a7qz.1.1."s,
                                  "shop.k3j5x2a7qz.1.1.q4tz7x"s,
                                  "shop.k3j5x2a7qz.1.1.q4tz7."s,
                                  "shop.k3j5x2a7qz.1.1.q4tz7.q4tz7"s,
                                  "shop.k3j5x2a7qz.1.1.q4tz1"s,
                                  "\xff\xfe.k3j5x2a7qz.1.1"s}) {
    EXPECT_FALSE(Gid::Parse(text).has_value()) << text;
  }
}

TEST(Gid, ErrorsNeverEchoAHugeInput) {
  const auto result = Gid::Parse(std::string(10 << 20, 'x'));
  ASSERT_FALSE(result.has_value());
  EXPECT_LT(result.error().message().size(), 200u);
}

TEST(Gid, ComparesByAge) {
  Gid younger = Sample();
  younger.number++;
  EXPECT_LT(Sample(), younger);
  Gid next_incarnation{"shop-1", Sample().log, 3, 1};
  EXPECT_LT(younger, next_incarnation);
}

TEST(BranchId, IsNotFoundForAnotherProgramsName) {
  EXPECT_EQ(BranchId::Parse("hibernate-17").error().code(), StatusCode::kNotFound);
  EXPECT_EQ(BranchId::Parse("idt:rubbish").error().code(), StatusCode::kInvalidArgument);
}

TEST(LogId, RandomIdentitiesDiffer) { EXPECT_NE(LogId::Random(), LogId::Random()); }

}  // namespace
}  // namespace indoubt
