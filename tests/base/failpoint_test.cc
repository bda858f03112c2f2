#include "base/failpoint.h"

#include <atomic>
#include <fstream>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/failpoint_call.h"
#include "faults/process.h"
#include "tests/support/eventually.h"
#include "tests/support/fail_point_gate.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

class FailPointTest : public testing::Test {
 protected:
  ~FailPointTest() override { EXPECT_TRUE(ConfigureFailPoints("").ok()); }
};

TEST_F(FailPointTest, UnarmedPointsPass) { EXPECT_TRUE(HitFailPoint("voted").ok()); }

TEST_F(FailPointTest, FailsAtTheGivenHitOnly) {
  ASSERT_TRUE(ConfigureFailPoints("voted:2=error").ok());
  EXPECT_TRUE(HitFailPoint("voted").ok());
  EXPECT_FALSE(HitFailPoint("voted").ok());
  EXPECT_TRUE(HitFailPoint("voted").ok());
}

TEST_F(FailPointTest, CountsOnlyTheNamedParticipant) {
  ASSERT_TRUE(ConfigureFailPoints("after_prepare@stock=error").ok());
  EXPECT_TRUE(HitFailPoint("after_prepare", "accounts").ok());
  EXPECT_FALSE(HitFailPoint("after_prepare", "stock").ok());
}

TEST_F(FailPointTest, AtAWholeTransactionTheParticipantIsOneThatTakesPart) {
  ASSERT_TRUE(ConfigureFailPoints("voted@ledger=error").ok());
  const std::vector<std::string> price{"accounts", "stock"};
  const std::vector<std::string> order{"accounts", "stock", "ledger"};
  EXPECT_TRUE(HitFailPoint("voted", price).ok());
  EXPECT_FALSE(HitFailPoint("voted", order).ok());
}

TEST_F(FailPointTest, SleepsUntilTheArmFileExists) {
  const ScratchFolder folder("indoubt-failpoint");
  const std::string arm = folder.path() + "/arm";
  ASSERT_TRUE(ConfigureFailPoints("voted=error", arm).ok());
  EXPECT_TRUE(HitFailPoint("voted").ok());
  std::ofstream(arm).put('x');
  EXPECT_FALSE(HitFailPoint("voted").ok());
}

TEST_F(FailPointTest, AProgramsOwnCallComesBesideWhatTheSpecArms) {
  ASSERT_TRUE(ConfigureFailPoints("voted=error").ok());
  int calls = 0;
  ArmFailPoint("ended", 2, [&calls] {
    ++calls;
    return Status(StatusCode::kAborted, "as it was told");
  });
  EXPECT_TRUE(HitFailPoint("ended").ok());
  EXPECT_EQ(HitFailPoint("ended").code(), StatusCode::kAborted);
  EXPECT_TRUE(HitFailPoint("ended").ok());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(HitFailPoint("voted").code(), StatusCode::kIoError);
  ASSERT_TRUE(ConfigureFailPoints("").ok());
  EXPECT_FALSE(FailPointIsArmed("ended"));
}

TEST_F(FailPointTest, AGateHoldsWhoeverComesUntilItIsOpened) {
  FailPointGate gate("voted");
  EXPECT_FALSE(gate.reached());
  std::atomic<bool> passed = false;
  auto held = std::async(std::launch::async, [&] {
    const Status status = HitFailPoint("voted");
    passed = true;
    return status;
  });
  EXPECT_TRUE(Eventually([&] { return gate.reached(); }));
  EXPECT_FALSE(passed);
  gate.Open();
  EXPECT_TRUE(held.get().ok());
}

TEST_F(FailPointTest, KillsItsOwnProcessBySignal9) {
  EXPECT_EXIT(
      {
        if (ConfigureFailPoints("voted=kill").ok()) (void)HitFailPoint("voted");
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailPointTest, RefusesWhatItCannotArmAndNamesIt) {
  for (const char* spec : {"nonsense=kill", "voted", "voted=explode", "voted:0=kill",
                           "voted:x=kill", "voted@=kill", "voted=sleep(5)", "voted=sleep("}) {
    const Status status = ConfigureFailPoints(spec);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << spec;
    EXPECT_THAT(status.message(), HasSubstr("INDOUBT_FAILPOINT")) << spec;
  }
  EXPECT_FALSE(FailPointIsArmed("voted"));
}

}  // namespace
}  // namespace indoubt
