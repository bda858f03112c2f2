// What the cases of the contract suite share: one store for all of them, emptied for each,
// and a participant over it. Prints how many cases ran against which server, and which do not
// apply to this store.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/contract_coordinator.h"
#include "tests/participants/contract_store.h"
#include "tests/support/eventually.h"

namespace indoubt {

class ParticipantContract : public testing::TestWithParam<ContractStoreFactory> {
 protected:
  static void TearDownTestSuite() {
    const testing::TestSuite& suite = *testing::UnitTest::GetInstance()->current_test_suite();
    std::string not_applicable;
    for (const std::string& name : not_applicable_) {
      not_applicable +=
          (not_applicable.empty() ? "; not applicable: no server: " : ", ") + name;
    }
    std::printf(
        "contract: %d of %d cases of %s passed against %s%s\n", suite.successful_test_count(),
        suite.test_to_run_count() - static_cast<int>(not_applicable_.size()), suite.name(),
        version_.empty() ? "nothing" : version_.c_str(), not_applicable.c_str());
    not_applicable_.clear();
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

  /// False, and the case is no case of this store's, when it has no server to be without.
  bool NeedsServer() {
    if (store().HasServer()) return true;
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    not_applicable_.push_back(name.substr(0, name.find('/')));
    return false;
  }
  /// Does `act`, kills what then holds the data, and brings the store up again; returns what
  /// `act` did. That is the server; without one it is the process with the adapter in it, a
  /// child, in which nothing can be expected: `act` says what happened.
  std::string ThenKill(const std::function<std::string(Participant&)>& act) {
    if (store().HasServer()) {
      const std::string done = act(participant());
      store().KillServer();
      const Status restarted = store().RestartServer();
      EXPECT_TRUE(restarted.ok()) << restarted.ToString();
      return done;
    }
    EndParticipant();  // nothing of the store is open here when the child is made
    DoomedProcess child([&](int out) {
      const auto own = store().MakeParticipant();
      WriteLine(out, ToHex(act(*own)) + "\n");
    });
    EXPECT_TRUE(child.AwaitText("\n")) << "the process died by itself";
    const std::string done = FromHex(child.Kill());
    ReplaceParticipant();
    return done;
  }

  /// A yes vote for adding 5 to "a" and inserting "new"; returns its token.
  Token Vote(const Gid& gid) { return TokenOf(AskVote(participant(), gid)); }
  /// The same, and then whatever holds the data is killed.
  Token VoteThenKill(const Gid& gid) {
    return TokenOf(ThenKill([&](Participant& own) { return AskVote(own, gid); }));
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
  /// "yes TOKEN", or why not.
  std::string AskVote(Participant& own, const Gid& gid) {
    const PrepareReply reply =
        PrepareNow(own, gid, {store().Add("a", 5), store().Insert("new", 1)});
    return reply.vote.kind == VoteKind::kYes ? kYes + reply.vote.token : reply.vote.reason;
  }
  static Token TokenOf(const std::string& asked) {
    EXPECT_TRUE(asked.starts_with(kYes)) << asked;
    if (!asked.starts_with(kYes)) return {};
    const Token token = asked.substr(kYes.size());
    EXPECT_LE(token.size(), 256u);
    return token;
  }

  inline static const std::string kYes = "yes ";
  inline static std::vector<std::string> not_applicable_;  // the cases' names
  inline static std::string version_;  // of the server, as its preflight says
  std::unique_ptr<Participant> participant_;
};

}  // namespace indoubt
