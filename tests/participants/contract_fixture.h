// What the cases of the contract suite share: one store for all of them, emptied for each,
// and a participant over it. Prints how many cases ran against which server.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/contract_store.h"
#include "tests/support/eventually.h"

namespace indoubt {

class ParticipantContract : public testing::TestWithParam<ContractStoreFactory> {
 protected:
  static void TearDownTestSuite() {
    const testing::TestSuite& suite = *testing::UnitTest::GetInstance()->current_test_suite();
    std::printf("contract: %d of %d cases of %s passed against %s\n",
                suite.successful_test_count(), suite.test_to_run_count(), suite.name(),
                version_.empty() ? "nothing" : version_.c_str());
    shared_store_.reset();
  }

  void SetUp() override {
    if (!shared_store_) shared_store_ = GetParam()();
    ASSERT_NE(shared_store_, nullptr) << "the store could not be started";
    const Status reset = store().Reset();
    ASSERT_TRUE(reset.ok()) << reset.ToString();
    participant_ = store().MakeParticipant();
    ASSERT_NE(participant_, nullptr);
    if (!version_.empty()) return;
    const auto report = participant_->Preflight(TestDeadline());
    ASSERT_TRUE(report) << report.error().ToString();
    version_ = report->version;
  }
  void TearDown() override { participant_.reset(); }

  ContractStore& store() { return *shared_store_; }
  Participant& participant() { return *participant_; }
  /// The coordinator ends; until ReplaceParticipant() there is none.
  void EndParticipant() { participant_.reset(); }
  /// What a crash of the coordinator leaves: a participant that knows nothing.
  void ReplaceParticipant() {
    participant_.reset();
    participant_ = store().MakeParticipant();
  }

  /// A yes vote for adding 5 to "a" and inserting "new"; returns its token.
  Token Vote(const Gid& gid) {
    const PrepareReply reply =
        PrepareNow(participant(), gid, {store().Add("a", 5), store().Insert("new", 1)});
    EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    EXPECT_LE(reply.vote.token.size(), 256u);
    return reply.vote.token;
  }
  void ExpectWritten() {
    EXPECT_EQ(store().Look("a"), 105);
    EXPECT_EQ(store().Look("new"), 1);
  }
  void ExpectNothingWritten() {
    EXPECT_EQ(store().Look("a"), 100);
    EXPECT_EQ(store().Look("new"), std::nullopt);
  }
  void ExpectNothingPrepared() {
    const auto listed = participant().ListPrepared(TestDeadline());
    ASSERT_TRUE(listed) << listed.error().ToString();
    EXPECT_TRUE(listed->empty());
  }
  /// Every write of a settled transaction can be made again at once, by anybody.
  void ExpectNoLockLeft() {
    // A server may take a moment to notice that the client of an open transaction has gone.
    for (const char* name : {"a", "new"}) {
      EXPECT_TRUE(Eventually([&] { return store().OutsideWrite(name, 1); }))
          << "a lock on " << name << " was left behind";
    }
  }
  /// What this store lists as prepared; fails the test when it cannot be listed.
  std::vector<PreparedBranch> Listed() {
    const auto listed = participant().ListPrepared(TestDeadline());
    EXPECT_TRUE(listed) << listed.error().ToString();
    return listed ? *listed : std::vector<PreparedBranch>();
  }
  void ExpectCommits(const Gid& gid, const Token& token) {
    const Ack ack = CommitNow(participant(), gid, token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }
  void ExpectRollsBack(const Gid& gid, const Token& token) {
    const Ack ack = RollbackNow(participant(), gid, token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  }

 private:
  inline static std::unique_ptr<ContractStore> shared_store_;
  inline static std::string version_;  // of the server, as its preflight says
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt
