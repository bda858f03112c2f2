// What recovery may touch.
#include "recovery/orphans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class OrphansTest : public testing::Test {
 protected:
  OrphansTest() {
    input_.participants = {"a", "b"};
    input_.node = "n";
    input_.log = *LogId::Parse("aaaaaaaaaa");
    input_.incarnation = 3;
    input_.find = [](const Gid&) { return LoggedState::kUnknown; };
  }
  Gid Own(uint64_t number, uint32_t incarnation = 3) const {
    return {"n", input_.log, incarnation, number};
  }
  void ListTwice(const Gid& gid, const std::string& participant) {
    ListTwice(gid, participant, participant);
  }
  void ListTwice(const Gid& gid, const std::string& participant, const std::string& by) {
    input_.first.push_back({{{gid, participant}, ""}, by});
    input_.second.push_back({{{gid, participant}, "t"}, by});
  }
  OrphanInput input_;
};

TEST_F(OrphansTest, NothingGivesNothing) {
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.commit, IsEmpty());
  EXPECT_THAT(selection.roll_back, IsEmpty());
}

TEST_F(OrphansTest, BranchesOfOneOrphanComeTogetherWithTheirLatestTokens) {
  ListTwice(Own(1), "a");
  ListTwice(Own(1), "b");
  ListTwice(Own(2, 1), "b");
  const OrphanSelection selection = SelectOrphans(input_);
  ASSERT_THAT(selection.roll_back, SizeIs(2));
  EXPECT_EQ(selection.roll_back[0].gid, Own(2, 1)) << "older incarnation first";
  EXPECT_EQ(selection.roll_back[1].branches,
            (std::vector<BranchRecord>{{"a", "t"}, {"b", "t"}}));
}

TEST_F(OrphansTest, OneListingIsNotEnough) {
  input_.first.push_back({{{Own(1), "a"}, ""}, "a"});
  input_.second.push_back({{{Own(1), "b"}, ""}, "b"});
  input_.second.push_back({{{Own(2), "a"}, ""}, "a"});
  EXPECT_THAT(SelectOrphans(input_).roll_back, IsEmpty());
}

TEST_F(OrphansTest, BranchListedTwiceInOneListingIsTakenOnce) {
  ListTwice(Own(1), "a");
  ListTwice(Own(1), "a");
  ASSERT_THAT(SelectOrphans(input_).roll_back, SizeIs(1));
  EXPECT_THAT(SelectOrphans(input_).roll_back[0].branches, SizeIs(1));
}

TEST_F(OrphansTest, ActiveIsLeftWhateverTheLogSays) {
  ListTwice(Own(1), "a");
  input_.active = {Own(1), Own(2)};
  input_.decided = {{Own(2), {{"a", "t"}}}};
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.roll_back, IsEmpty());
  EXPECT_THAT(selection.commit, IsEmpty());
}

TEST_F(OrphansTest, RecordedIsCommittedAtEveryBranchListedOrNot) {
  ListTwice(Own(1), "a");
  input_.decided = {{Own(1), {{"a", "ta"}, {"b", "tb"}}}};
  const OrphanSelection selection = SelectOrphans(input_);
  ASSERT_THAT(selection.commit, SizeIs(1));
  EXPECT_EQ(selection.commit[0].branches, input_.decided[0].branches);
  EXPECT_THAT(selection.roll_back, IsEmpty());
}

TEST_F(OrphansTest, RecordWithAMissingParticipantIsUntouched) {
  ListTwice(Own(1), "a");
  input_.decided = {{Own(1), {{"a", "ta"}, {"gone", "tg"}}}};
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.commit, IsEmpty());
  EXPECT_THAT(selection.roll_back, IsEmpty());
  ASSERT_THAT(selection.unconfigured, SizeIs(1));
  EXPECT_EQ(FirstUnconfigured(selection.unconfigured[0], input_.participants), "gone");
}

TEST_F(OrphansTest, BranchThatNoParticipantOfItsNameListedIsUntouched) {
  ListTwice(Own(1), "old-a", "a");  // a was called old-a
  ListTwice(Own(1), "b");
  ListTwice(Own(2), "b", "a");  // a and b have changed places
  input_.find = [this](const Gid& gid) {
    return gid == Own(2) ? LoggedState::kEnded : LoggedState::kUnknown;
  };
  const OrphanSelection selection = SelectOrphans(input_);
  ASSERT_THAT(selection.misnamed, SizeIs(2));
  EXPECT_EQ(selection.misnamed[0].id, (BranchId{Own(1), "old-a"}));
  EXPECT_EQ(selection.misnamed[0].listed_by, "a");
  EXPECT_EQ(selection.misnamed[1].id, (BranchId{Own(2), "b"}));
  EXPECT_THAT(selection.commit, IsEmpty());
  ASSERT_THAT(selection.roll_back, SizeIs(1));
  EXPECT_EQ(selection.roll_back[0].branches, (std::vector<BranchRecord>{{"b", "t"}}));
}

TEST_F(OrphansTest, ParticipantsThatShareAStoreListEachOthersBranches) {
  ListTwice(Own(1), "b", "a");
  ListTwice(Own(1), "b", "b");
  ListTwice(Own(1), "a", "a");
  ListTwice(Own(1), "a", "b");
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.misnamed, IsEmpty());
  ASSERT_THAT(selection.roll_back, SizeIs(1));
  EXPECT_THAT(selection.roll_back[0].branches, SizeIs(2));
}

TEST_F(OrphansTest, OtherNodesAppearNowhereEvenWhenTheirLogIsAdopted) {
  const Gid other{"m", *LogId::Parse("bbbbbbbbbb"), 1, 1};
  ListTwice(other, "a");
  input_.adopt = other.log;
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.roll_back, IsEmpty());
  EXPECT_THAT(selection.cloned, IsEmpty());
}

TEST_F(OrphansTest, SameNodeOfAnotherLogNeedsAdoption) {
  const Gid cloned{"n", *LogId::Parse("bbbbbbbbbb"), 7, 1};
  ListTwice(cloned, "a");
  EXPECT_THAT(SelectOrphans(input_).cloned, SizeIs(1));
  EXPECT_THAT(SelectOrphans(input_).roll_back, IsEmpty());
  input_.adopt = cloned.log;
  EXPECT_THAT(SelectOrphans(input_).cloned, IsEmpty());
  EXPECT_THAT(SelectOrphans(input_).roll_back, SizeIs(1));
}

TEST_F(OrphansTest, EndedIsCommittedNeverRolledBack) {
  ListTwice(Own(1), "b");
  input_.find = [](const Gid&) { return LoggedState::kEnded; };
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.roll_back, IsEmpty());
  ASSERT_THAT(selection.commit, SizeIs(1));
  EXPECT_EQ(selection.commit[0].branches, (std::vector<BranchRecord>{{"b", "t"}}));
}

TEST_F(OrphansTest, LaterIncarnationMeansAnOldLog) {
  ListTwice(Own(1, 4), "a");
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.newer, SizeIs(1));
  EXPECT_THAT(selection.roll_back, IsEmpty());
}

TEST_F(OrphansTest, OrphanThatNamesALastResourceIsAskedForAndNotRolledBack) {
  Gid gid = Own(1, 2);
  gid.home = "q4tz7";
  ListTwice(gid, "a");
  ListTwice(gid, "b");
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.roll_back, IsEmpty());
  EXPECT_EQ(selection.ask, (std::vector<Decision>{{gid, {{"a", "t"}, {"b", "t"}}}}));
}

TEST_F(OrphansTest, OrphanWhoseRowWasReadIsCommitted) {
  Gid gid = Own(1, 2);
  gid.home = "q4tz7";
  ListTwice(gid, "a");
  input_.decided = {{gid, {{"a", "t"}, {"b", "u"}}}};
  const OrphanSelection selection = SelectOrphans(input_);
  EXPECT_THAT(selection.ask, IsEmpty());
  EXPECT_EQ(selection.commit, input_.decided);
}

}  // namespace
}  // namespace indoubt
