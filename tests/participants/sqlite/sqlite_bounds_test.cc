// No statement takes more than its time, nor its results more than their room.
#include "tests/participants/sqlite/sqlite_fixture.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

constexpr const char* kEndlessRows =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";

/// `read_` and `write_` do not end by themselves.
class SqliteBounds : public SqliteGuards {
 protected:
  std::unique_ptr<Branch> BeginWithin(std::chrono::milliseconds limit) {
    return participant_->Begin(NewTestGid(), TestDeadline(limit));
  }
  const std::string read_ = fmt::format("SELECT count(*) FROM ({})", kEndlessRows);
  const std::string write_ =
      fmt::format("INSERT INTO person (id) SELECT max(x) FROM ({})", kEndlessRows);
};

TEST_F(SqliteBounds, AnEndlessStatementEndsAtItsDeadlineAndOthersGoOn) {
  for (const std::string& endless : {read_, write_}) {
    auto branch = BeginWithin(std::chrono::milliseconds(100));
    const Vote vote = PrepareNow(*branch, {{endless, {}, {}}}).vote;
    EXPECT_EQ(vote.kind, VoteKind::kNo) << endless;
    EXPECT_THAT(vote.reason, HasSubstr("deadline")) << endless;
    const Gid gid = NewTestGid();
    ExpectCommits(gid, PrepareYes(gid, "UPDATE person SET note = note || 'x' WHERE id = 1"));
  }
}

TEST_F(SqliteBounds, OthersOfTheSameTransactionGoOnWhenAWritingStatementIsStopped) {
  Ask(path_, "INSERT INTO pet VALUES (1, 1)");
  auto busy = BeginWithin(std::chrono::milliseconds(100));
  auto stopped = BeginWithin(std::chrono::milliseconds(500));
  const Gid before = NewTestGid(), after = NewTestGid();
  auto first = participant_->Begin(before, TestDeadline());
  auto last = participant_->Begin(after, TestDeadline());
  auto interactive = participant_->Begin(NewTestGid(), TestDeadline());
  // While the first one keeps the writer busy, the others gather for its next transaction.
  auto busy_vote = StartPrepare(*busy, {{read_, {}, {}}});
  std::promise<size_t> worked;
  interactive->Work({{"UPDATE pet SET owner = 2 WHERE id = 1", {}, 1}, {"SELECT 1", {}, 1}},
                    [&](auto results) { worked.set_value(results ? results->size() : 0); });
  auto first_vote =
      StartPrepare(*first, {{"UPDATE person SET note = 'first' WHERE id = 1", {}, 1}});
  auto stopped_vote = StartPrepare(*stopped, {{write_, {}, {}}});
  auto last_vote =
      StartPrepare(*last, {{"UPDATE person SET note = 'last' WHERE id = 2", {}, 1}});
  EXPECT_EQ(busy_vote.get().vote.kind, VoteKind::kNo);
  EXPECT_EQ(stopped_vote.get().vote.kind, VoteKind::kNo);
  EXPECT_EQ(worked.get_future().get(), 2u);
  const PrepareReply first_reply = first_vote.get(), last_reply = last_vote.get();
  ASSERT_EQ(first_reply.vote.kind, VoteKind::kYes) << first_reply.vote.reason;
  ASSERT_EQ(last_reply.vote.kind, VoteKind::kYes) << last_reply.vote.reason;
  EXPECT_EQ(first_reply.results.size(), 1u);
  ExpectCommits(before, first_reply.vote.token);
  ExpectCommits(after, last_reply.vote.token);
  const PrepareReply own = PrepareNow(*interactive);
  EXPECT_EQ(own.vote.kind, VoteKind::kYes) << own.vote.reason;
  EXPECT_EQ(own.results.size(), 2u);
  EXPECT_EQ(Ask(path_, "SELECT group_concat(note) FROM person"), "first,last");
}

TEST_F(SqliteBounds, ARollbackTakesEffectAfterItsPrepareWhenAWritingStatementIsStopped) {
  auto busy = BeginWithin(std::chrono::milliseconds(100));
  auto stopped = BeginWithin(std::chrono::milliseconds(500));
  const Gid gid = NewTestGid();
  auto first = participant_->Begin(gid, TestDeadline());
  // While the first one keeps the writer busy, the others gather for its next transaction.
  auto busy_vote = StartPrepare(*busy, {{read_, {}, {}}});
  auto first_vote =
      StartPrepare(*first, {{"UPDATE person SET note = 'first' WHERE id = 1", {}, 1}});
  auto stopped_vote = StartPrepare(*stopped, {{write_, {}, {}}});
  std::promise<Ack> rolled_back;
  participant_->Rollback(gid, "", TestDeadline(),
                         [&](const Ack& ack) { rolled_back.set_value(ack); });
  EXPECT_EQ(busy_vote.get().vote.kind, VoteKind::kNo);
  EXPECT_EQ(stopped_vote.get().vote.kind, VoteKind::kNo);
  first_vote.wait();
  EXPECT_EQ(rolled_back.get_future().get().kind, AckKind::kDone);
  const auto prepared = participant_->ListPrepared(TestDeadline());
  ASSERT_TRUE(prepared) << prepared.error().ToString();
  EXPECT_TRUE(prepared->empty());
}

TEST_F(SqliteBounds, AReadOfUnboundedRowsOrSizeIsANo) {
  const std::string rows = fmt::format("SELECT x, zeroblob(1000) FROM ({})", kEndlessRows);
  const std::string sizes = fmt::format("SELECT zeroblob(30000000) FROM ({})", kEndlessRows);
  const std::string value = "SELECT zeroblob(900000000)";
  for (const std::string& sql : {rows, sizes, value}) {
    const Vote vote = Prepare(NewTestGid(), sql);
    EXPECT_EQ(vote.kind, VoteKind::kNo) << sql;
    EXPECT_THAT(vote.reason,
                ::testing::AnyOf(HasSubstr("more than 64 MiB"), HasSubstr("too big")))
        << sql;
  }
}

TEST_F(SqliteBounds, TheResultsOfAllOfABranchAreBoundedTogether) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {{"SELECT zeroblob(30000000)", {}, {}}}));
  ASSERT_TRUE(WorkNow(*branch, {{"SELECT zeroblob(30000000)", {}, {}}}));
  const auto third = WorkNow(*branch, {{"SELECT zeroblob(30000000)", {}, {}}});
  ASSERT_FALSE(third);
  EXPECT_THAT(third.error().message(), HasSubstr("more than 64 MiB"));
  EXPECT_EQ(PrepareNow(*branch).vote.kind, VoteKind::kNo);
}

TEST_F(SqliteBounds, ShuttingDownStopsAnEndlessStatement) {
  auto branch = participant_->Begin(NewTestGid(), TestDeadline());
  std::promise<Vote> vote;
  branch->Prepare({{fmt::format("SELECT count(*) FROM ({})", kEndlessRows), {}, {}}},
                  [&](const PrepareReply& reply) { vote.set_value(reply.vote); });
  participant_.reset();
  EXPECT_NE(vote.get_future().get().kind, VoteKind::kYes);
}

}  // namespace
}  // namespace indoubt
