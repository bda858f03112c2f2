// The pool of connections: it stays within its bound whatever is asked of it, and puts no
// fresh connection under a branch that has lost its own.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <tuple>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "participants/postgres/postgres_participant.h"
#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kMost = 5;  // connections: four for work, one for the second phase

class PostgresPool : public PostgresFixture {
 protected:
  void SetUp() override {
    PostgresFixture::SetUp();
    if (HasFatalFailure()) return;
    participant_ = store_->MakeParticipantWith("", kMost);
  }
  /// How many sessions but the outsider's the server has.
  int Sessions(const std::string& which = "true") {
    store_->Psql("SELECT pg_stat_clear_snapshot()");  // kept for the rest of a transaction
    return std::stoi(
        store_->Psql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client "
                     "backend' AND pid <> pg_backend_pid() AND " +
                     which));
  }
  /// A client that transfers and asks until told to stop; what committed is added up.
  void Transfer(int client, const std::atomic<bool>& stop, std::atomic<int64_t>& committed) {
    const std::string row = "n" + std::to_string(client);
    for (int number = 0; !stop; ++number) {
      const Gid gid = NewGid();
      auto branch = participant_->Begin(gid, TestDeadline());
      if (number % 2 == 0) EXPECT_TRUE(WorkNow(*branch, {store_->Read(row)}));
      const PrepareReply reply = PrepareNow(*branch, {store_->Add(row, 1)});
      EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
      EXPECT_EQ(CommitNow(*participant_, gid, reply.vote.token).kind, AckKind::kDone);
      if (number % 10 == 0) EXPECT_TRUE(participant_->ListPrepared(TestDeadline()));
      ++committed;
    }
  }
  /// NewTestGid() for several threads.
  Gid NewGid() {
    const std::lock_guard lock(mutex_);
    return NewTestGid();
  }

 private:
  std::mutex mutex_;
};

TEST_F(PostgresPool, NeverMoreSessionsThanConfiguredWhateverTheLoad) {
  constexpr int kClients = 32;
  for (int i = 0; i < kClients; ++i) {
    store_->Psql(fmt::format("INSERT INTO held VALUES ('n{}', 0)", i));
  }
  std::atomic<bool> stop = false;
  std::atomic<int64_t> committed = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] { Transfer(i, stop, committed); });
  }
  int most = 0, looks = 0;
  EXPECT_TRUE(Eventually([&] {
    most = std::max(most, Sessions());
    return ++looks >= 300 && committed >= 600;
  })) << committed
      << " committed";
  stop = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(most, kMost) << "it uses all of them, and no more, in " << looks << " looks";
  EXPECT_EQ(Sessions(), kMost) << "and keeps them";
  EXPECT_EQ(store_->Psql("SELECT sum(amount) FROM held WHERE name LIKE 'n%'"),
            std::to_string(committed));
}

TEST_F(PostgresPool, WorkThatHoldsAllConnectionsLeavesOneToTheSecondPhaseAndNoneIsAdded) {
  const Gid gid = NewTestGid();
  const Statement elsewhere{"INSERT INTO other VALUES (5)", {}, {}};
  const PrepareReply prepared = PrepareNow(*participant_, gid, {elsewhere});
  ASSERT_EQ(prepared.vote.kind, VoteKind::kYes) << prepared.vote.reason;
  store_->Psql("BEGIN");
  store_->Psql("LOCK TABLE held IN ACCESS EXCLUSIVE MODE");
  constexpr int kWaiting = 20;
  std::vector<std::unique_ptr<Branch>> branches;
  std::vector<std::future<PrepareReply>> votes;
  for (int i = 0; i < kWaiting; ++i) {
    branches.push_back(participant_->Begin(NewTestGid(), TestDeadline()));
    votes.push_back(
        StartPrepare(*branches.back(), {store_->Insert("n" + std::to_string(i), i)}));
  }
  EXPECT_TRUE(Eventually([&] { return Sessions("wait_event_type = 'Lock'") == kMost - 1; }));
  // One more finds no connection, and says how many there may be.
  auto late = participant_->Begin(NewTestGid(), TestDeadline(std::chrono::milliseconds(300)));
  const PrepareReply no = PrepareNow(*late, {store_->Insert("late", 1)});
  EXPECT_EQ(no.vote.kind, VoteKind::kNo);
  EXPECT_THAT(no.vote.reason,
              AllOf(HasSubstr("no free connection to PostgreSQL in time"),
                    HasSubstr(fmt::format("at most {}", kMost)), HasSubstr("max_connections")));
  const auto listed = participant_->ListPrepared(TestDeadline());
  ASSERT_TRUE(listed) << listed.error().ToString();
  EXPECT_EQ(listed->size(), 1u);
  EXPECT_EQ(CommitNow(*participant_, gid, prepared.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(Sessions("wait_event_type = 'Lock'"), kMost - 1) << "they wait all the while";
  EXPECT_EQ(Sessions(), kMost);
  store_->Psql("ROLLBACK");
  for (auto& vote : votes) {
    const PrepareReply reply = vote.get();
    EXPECT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  }
  EXPECT_EQ(Sessions(), kMost);
  EXPECT_EQ(store_->Psql("SELECT x FROM other"), "5");
}

/// What ends a branch whose backend died between two of its calls.
enum class Then { kWork, kPrepareWithWork, kPrepare, kCommitWithWork, kCommit };

/// Whether the pool has seen by then that the connection is gone.
enum class Seen { kNotYet, kAlready };

using LostBackendCase = std::tuple<Then, Seen>;

class PostgresLostBackend : public PostgresPool,
                            public testing::WithParamInterface<LostBackendCase> {
 protected:
  static Then then() { return std::get<Then>(GetParam()); }

  /// Kills the backend that runs the branch of `gid`, and no other; waits until it is gone.
  void KillBackendOf(const Gid& gid) {
    const std::string its = "application_name = '" + gid.ToString() + "'";
    ASSERT_EQ(Sessions(its), 1);
    const std::string pid = store_->Psql("SELECT pid FROM pg_stat_activity WHERE " + its);
    ASSERT_EQ(store_->Psql("SELECT pg_terminate_backend(" + pid + ")"), "t");
    ASSERT_TRUE(Eventually([&] { return Sessions(its) == 0; }));
    if (std::get<Seen>(GetParam()) == Seen::kNotYet) return;
    // Once its process has ended so has its socket, and the pool looks at all of its sockets
    // before it gives an answer.
    ASSERT_TRUE(Eventually([&] { return kill(std::stoi(pid), 0) != 0 && errno == ESRCH; }));
    EXPECT_TRUE(participant_->ListPrepared(TestDeadline()));
  }
  /// The next call of the branch fails it.
  void ExpectFails(Branch& branch) {
    const std::vector<Statement> second{store_->Add("a", 5)};
    const bool with_work = then() != Then::kPrepare && then() != Then::kCommit;
    const std::vector<Statement> last = with_work ? second : std::vector<Statement>();
    switch (then()) {
      case Then::kWork: {
        const auto worked = WorkNow(branch, second);
        ASSERT_FALSE(worked) << "it ran on another connection";
        EXPECT_THAT(worked.error().message(), HasSubstr("connection"));
        EXPECT_FALSE(WorkNow(branch, second)) << "a branch that failed has ended";
        EXPECT_EQ(PrepareNow(branch).vote.kind, VoteKind::kNo);
        return;
      }
      case Then::kPrepareWithWork:
      case Then::kPrepare: {
        const Vote vote = PrepareNow(branch, last).vote;
        EXPECT_TRUE(vote.kind == VoteKind::kNo || vote.kind == VoteKind::kUnknown);
        EXPECT_THAT(vote.reason, HasSubstr("connection"));
        return;
      }
      case Then::kCommitWithWork:
      case Then::kCommit: {
        const OnePhaseReply reply = CommitOnePhaseNow(branch, last);
        EXPECT_NE(reply.kind, OnePhaseKind::kCommitted);
        EXPECT_THAT(reply.reason, HasSubstr("connection"));
        return;
      }
    }
  }
};

TEST_P(PostgresLostBackend, FailsItsBranchAndTheRestDoesNotRunOnAFreshConnection) {
  participant_ = store_->MakeParticipantWith("", 8);
  // There are idle connections at hand that it could be given.
  std::vector<std::unique_ptr<Branch>> idle;
  for (int i = 0; i < 3; ++i) {
    idle.push_back(participant_->Begin(NewTestGid(), TestDeadline()));
    ASSERT_TRUE(WorkNow(*idle.back(), {store_->Read("b")}));
  }
  const Gid gid = NewTestGid();
  auto branch = participant_->Begin(gid, TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {store_->Insert("new", 1)}));
  idle.clear();
  KillBackendOf(gid);
  if (HasFatalFailure()) return;
  ExpectFails(*branch);
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
  EXPECT_EQ(store_->Look("new"), std::nullopt);
  EXPECT_EQ(store_->Look("a"), 100) << "the second half alone";
  EXPECT_EQ(RollbackNow(*participant_, gid).kind, AckKind::kDone);

  // The next transaction gets a connection that lives.
  const Gid next = NewTestGid();
  const PrepareReply yes =
      PrepareNow(*participant_, next, {store_->Insert("new", 1), store_->Add("a", 5)});
  ASSERT_EQ(yes.vote.kind, VoteKind::kYes) << yes.vote.reason;
  EXPECT_EQ(CommitNow(*participant_, next, yes.vote.token).kind, AckKind::kDone);
  EXPECT_EQ(store_->Look("a"), 105);
}

std::string NameOf(Then then) {
  switch (then) {
    case Then::kWork:
      return "Work";
    case Then::kPrepareWithWork:
      return "PrepareWithWork";
    case Then::kPrepare:
      return "Prepare";
    case Then::kCommitWithWork:
      return "CommitWithWork";
    case Then::kCommit:
      return "Commit";
  }
  return "";
}

INSTANTIATE_TEST_SUITE_P(Then, PostgresLostBackend,
                         testing::Combine(testing::Values(Then::kWork, Then::kPrepareWithWork,
                                                          Then::kPrepare, Then::kCommitWithWork,
                                                          Then::kCommit),
                                          testing::Values(Seen::kNotYet, Seen::kAlready)),
                         [](const auto& info) {
                           return NameOf(std::get<Then>(info.param)) +
                                  (std::get<Seen>(info.param) == Seen::kAlready ? "Seen" : "");
                         });

}  // namespace
}  // namespace indoubt
