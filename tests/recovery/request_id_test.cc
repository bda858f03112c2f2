// Request ids in the log, and up to where outcomes are forgotten.
#include "recovery/request_index.h"
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

class LoggedRequestTest : public LogFixture {
 protected:
  static constexpr uint32_t kDigest = 0x9e3779b9;

  Gid Asked(const std::string& id) {
    const Gid gid = NewGid();
    std::promise<DecisionOutcome> answer;
    log_->Decide(gid, DecisionOutcome::kCommitted, Branches(),
                 [&](DecisionOutcome outcome, const Status&) { answer.set_value(outcome); },
                 {id, kDigest});
    EXPECT_EQ(answer.get_future().get(), DecisionOutcome::kCommitted);
    return gid;
  }
  std::optional<Gid> Find(const std::string& id) {
    const std::optional<NamedCommit> found = log_->FindRequest(id);
    if (!found) return std::nullopt;
    EXPECT_EQ(found->request, (RequestName{id, kDigest})) << "by whatever way it got here";
    return found->gid;
  }
  void Rotate() {
    const std::string before = Segment();
    while (Segment() == before) log_->End(Committed());
  }
};

TEST_F(LoggedRequestTest, IdIsAsDurableAsItsCommit) {
  Open();
  const Gid gid = Asked("order:1");
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Find("order:1"), gid);
  EXPECT_EQ(Find("order:2"), std::nullopt);
  ASSERT_EQ(log_->Unended().size(), 1u);
  EXPECT_EQ(log_->Unended()[0].request, (RequestName{"order:1", kDigest}));
}

TEST_F(LoggedRequestTest, IdIsKnownWhileItsCommitIsBeingWritten) {
  Open();
  std::optional<Gid> seen;
  disk_.SetFault([&](FakeFileSystem::Operation asked, const std::string&) {
    if (asked == FakeFileSystem::Operation::kSync) seen = Find("order:1");
    return Status::Ok();
  });
  const Gid gid = Asked("order:1");
  disk_.SetFault(nullptr);
  EXPECT_EQ(seen, gid) << "asked again while the disk stalls it would be done twice";
}

TEST_F(LoggedRequestTest, IdOfACommitWhoseSyncFailedIsNotFree) {
  Open();
  disk_.SetFault(FailOn(FakeFileSystem::Operation::kSync));
  const Gid gid = NewGid();
  std::promise<DecisionOutcome> answer;
  log_->Decide(gid, DecisionOutcome::kCommitted, Branches(),
               [&](DecisionOutcome outcome, const Status&) { answer.set_value(outcome); },
               {"order:1", kDigest});
  EXPECT_EQ(answer.get_future().get(), DecisionOutcome::kUnknown);
  EXPECT_EQ(Find("order:1"), gid);
  disk_.SetFault(nullptr);
}

TEST_F(LoggedRequestTest, IdOfAnEndedCommitComesAlong) {
  Open();
  const Gid gid = Asked("order:1");
  log_->End(gid);
  Rotate();
  EXPECT_EQ(Find("order:1"), gid);
  Reopen();
  Reopen();
  EXPECT_EQ(Find("order:1"), gid);
}

TEST_F(LoggedRequestTest, IdIsForgottenAfterTheRetentionAndUnendedOnesAreNot) {
  options_.outcome_retention = {};
  Open();
  const Gid ended = Asked("order:1"), open = Asked("order:2");
  log_->End(ended);
  EXPECT_EQ(Find("order:1"), std::nullopt);
  EXPECT_EQ(Find("order:2"), open);
  Reopen();
  EXPECT_EQ(Find("order:1"), std::nullopt);
  EXPECT_EQ(Find("order:2"), open);
}

TEST_F(LoggedRequestTest, IdOfWhatAPersonRolledBackIsFreeOnceItIsForgotten) {
  Open();
  const Gid rolled_back = Asked("order:1"), kept = Asked("order:2");
  ASSERT_TRUE(RecordOperatorDecision(rolled_back, DecisionOutcome::kAborted,
                                     DecisionOutcome::kCommitted)
                  .ok());
  EXPECT_EQ(Find("order:1"), rolled_back) << "a person's decision is its answer";
  Rotate();  // the checkpoint carries the id, and the record that frees it comes after
  ASSERT_TRUE(Forget(rolled_back).ok());
  EXPECT_EQ(Find("order:1"), std::nullopt);
  EXPECT_EQ(Find("order:2"), kept);
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_EQ(Find("order:1"), std::nullopt);
  const Gid later = Asked("order:1");
  Reopen();
  EXPECT_EQ(Find("order:1"), later);
  EXPECT_EQ(Find("order:2"), kept);
}

TEST_F(LoggedRequestTest, IdOfWhatAPersonCommittedStaysWhenThatIsForgotten) {
  Open();
  const Gid gid = Asked("order:1");
  log_->End(gid);
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kCommitted, DecisionOutcome::kCommitted)
          .ok());
  ASSERT_TRUE(Forget(gid).ok());
  EXPECT_EQ(Find("order:1"), gid);
  Reopen();
  EXPECT_EQ(Find("order:1"), gid);
}

TEST_F(LoggedRequestTest, IdThatIsGivenAgainNamesTheLaterCommit) {
  options_.outcome_retention = {};
  Open();
  log_->End(Asked("order:1"));
  const Gid later = Asked("order:1");
  EXPECT_EQ(Find("order:1"), later);
  EXPECT_TRUE(log_->HasRoomForRequest());
  EXPECT_EQ(Find("order:1"), later) << "the earlier end is not its own";
}

TEST_F(LoggedRequestTest, WhatEndedLongAgoIsForgottenAndLaterOnesAreNot) {
  Open();
  const Gid ended = Committed();
  log_->End(ended);
  EXPECT_FALSE(log_->IsForgotten(ended)) << "it is known";
  Reopen();
  EXPECT_FALSE(log_->IsForgotten(ended));
  options_.outcome_retention = {};
  Reopen();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(log_->Find(ended), LoggedState::kUnknown);
    EXPECT_TRUE(log_->IsForgotten(ended));
    EXPECT_FALSE(log_->IsForgotten(NewGid())) << "of a later incarnation";
    Reopen();
  }
}

TEST(RequestIndexTest, TakesNoMoreThanItsBoundAndLetsOldOnesGo) {
  const Duration retention = std::chrono::seconds(10);
  RequestIndex index(retention);
  const Gid gid{"n", LogId::Random(), 1, 1};
  const TimePoint start{};
  for (size_t i = 0; i < RequestIndex::kMaxRequests; ++i) {
    ASSERT_TRUE(index.HasRoom(start)) << i;
    const std::string id = "r" + std::to_string(i);
    index.Add({gid, {id, 7}});
    index.End(id, start + std::chrono::microseconds(i));
  }
  EXPECT_FALSE(index.HasRoom(start + std::chrono::seconds(5)));
  EXPECT_EQ(index.Find("r0", start + std::chrono::seconds(5)), (NamedCommit{gid, {"r0", 7}}));
  EXPECT_TRUE(index.HasRoom(start + retention + std::chrono::milliseconds(1)));
  EXPECT_EQ(index.Find("r0", start + retention), std::nullopt);
}

}  // namespace
}  // namespace indoubt
