// A person's decision in the log: durable before it is answered, above the log's own, and
// there until it is forgotten.
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class OperatorDecisionTest : public LogFixture {
 protected:
  /// Opens segments until what was carried has been carried again.
  void Rotate() {
    const std::string before = Segment();
    while (Segment() == before) log_->End(Committed());
  }
};

TEST_F(OperatorDecisionTest, SurvivesAPowerCutWithItsTrace) {
  Open();
  const Gid gid = NewGid();
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kCommitted, DecisionOutcome::kAborted).ok());
  CutPowerAndReopen(Unsynced::kLost);
  const OperatorDecision expected{gid,
                                  DecisionOutcome::kCommitted,
                                  DecisionOutcome::kAborted,
                                  kOperator,
                                  {"accounts", "stock"}};
  EXPECT_THAT(log_->OperatorDecisions(), ElementsAre(expected));
  EXPECT_EQ(log_->Find(gid), LoggedState::kEnded);
}

TEST_F(OperatorDecisionTest, RollbackStandsInThePlaceOfACommit) {
  Open();
  const Gid gid = Committed(), other = Committed();
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kAborted, DecisionOutcome::kCommitted).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(log_->Find(gid), LoggedState::kUnknown);
    EXPECT_THAT(Unended(), ElementsAre(other));
    std::promise<DecisionOutcome> stands;
    log_->Decide(gid, DecisionOutcome::kAborted, {},
                 [&](DecisionOutcome outcome, const Status&) { stands.set_value(outcome); });
    EXPECT_EQ(stands.get_future().get(), DecisionOutcome::kAborted);
    CutPowerAndReopen(Unsynced::kLost);
  }
}

TEST_F(OperatorDecisionTest, ComesAlongUntilItIsForgotten) {
  options_.outcome_retention = {};
  Open();
  const Gid gid = NewGid();
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kAborted, DecisionOutcome::kUnknown).ok());
  Rotate();
  Reopen();
  ASSERT_THAT(log_->OperatorDecisions(), SizeIs(1));
  ASSERT_TRUE(Forget(gid).ok());
  EXPECT_THAT(log_->OperatorDecisions(), IsEmpty());
  CutPowerAndReopen(Unsynced::kLost);
  EXPECT_THAT(log_->OperatorDecisions(), IsEmpty());
}

TEST_F(OperatorDecisionTest, OneThatAgreesWithTheLogGoesAfterTheRetention) {
  options_.outcome_retention = std::chrono::hours(24 * 365 * 100);
  Open();
  const Gid gid = NewGid();
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kAborted, DecisionOutcome::kAborted).ok());
  Reopen();
  EXPECT_THAT(log_->OperatorDecisions(), SizeIs(1));
  options_.outcome_retention = {};
  Reopen();
  EXPECT_THAT(log_->OperatorDecisions(), IsEmpty());
}

TEST_F(OperatorDecisionTest, InspectShowsWhoDecidedWhatWhenAndWhy) {
  Open();
  const Gid gid = NewGid();
  ASSERT_TRUE(
      RecordOperatorDecision(gid, DecisionOutcome::kCommitted, DecisionOutcome::kAborted).ok());
  ASSERT_TRUE(Forget(gid).ok());
  const auto records = InspectLog(disk_, kFolder);
  ASSERT_TRUE(records) << records.error().ToString();
  std::vector<std::string> kinds;
  for (const InspectedRecord& record : *records) {
    if (record.gid != gid.ToString()) continue;
    kinds.push_back(record.kind);
    for (const std::string& part : {kOperator.who, kOperator.at, kOperator.reason}) {
      EXPECT_THAT(record.detail, HasSubstr(part)) << record.kind;
    }
  }
  EXPECT_THAT(kinds, ElementsAre("operator", "forget"));
}

}  // namespace
}  // namespace indoubt
