// Statements that a session keeps prepared act as if they were parsed each time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"

namespace indoubt {
namespace {

/// More than it takes until a statement is kept, and its plan as well.
constexpr int kOften = 8;

Statement Sql(std::string text, std::vector<Value> params = {}) {
  return {.text = std::move(text), .params = std::move(params), .expect_rows = {}};
}

class PostgresKeptStatements : public PostgresFixture {
 protected:
  void SetUp() override {
    PostgresFixture::SetUp();
    if (HasFatalFailure()) return;                      // no server
    participant_ = store_->MakeParticipantWith("", 2);  // one connection for work
  }
  Vote CommitOne(std::vector<Statement> statements) {
    const Gid gid = NewTestGid();
    const Vote vote = PrepareNow(*participant_, gid, std::move(statements)).vote;
    if (vote.kind == VoteKind::kYes) {
      EXPECT_EQ(CommitNow(*participant_, gid, vote.token).kind, AckKind::kDone);
    }
    return vote;
  }
  void Repeat(const Statement& statement) {
    for (int i = 0; i < kOften; ++i) {
      const Vote vote = CommitOne({statement});
      ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
    }
  }
};

TEST_F(PostgresKeptStatements, RunWithTheValuesOfEachTime) {
  for (int64_t amount = 1; amount <= kOften; ++amount) {
    EXPECT_EQ(CommitOne({store_->Add("a", amount), store_->Add("b", -amount)}).kind,
              VoteKind::kYes);
  }
  EXPECT_EQ(store_->Look("a"), 136);
  EXPECT_EQ(store_->Look("b"), 64);
}

TEST_F(PostgresKeptStatements, AreThereInTheSessionAndNotMoreThanTheirBound) {
  participant_ = store_->MakeParticipantWith("", 2);
  // The session's own view of what it holds; this text has a literal and is not kept itself.
  const Statement count =
      Sql("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'indoubt%'");
  for (int different = 0; different < 100; ++different) {
    const Statement statement = Sql(fmt::format("UPDATE held SET amount = {}", different));
    for (int i = 0; i < 2; ++i) ASSERT_EQ(CommitOne({statement}).kind, VoteKind::kYes);
  }
  const PrepareReply reply = PrepareNow(*participant_, NewTestGid(), {count});
  ASSERT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
  EXPECT_EQ(reply.results.front().values.front(),
            (Value{std::vector<Value>{Value{int64_t{64}}}}));
}

TEST_F(PostgresKeptStatements, ParameterWhoseColumnGetsAnotherTypeCostsAtMostOneNo) {
  store_->Psql("CREATE TABLE price (amount int)");
  const auto insert = [](const char* amount) {
    return Sql("INSERT INTO price VALUES ($1)", {Value{std::string(amount)}});
  };
  Repeat(insert("7"));
  ASSERT_EQ(store_->Psql("ALTER TABLE price ALTER amount TYPE numeric"), "ALTER TABLE");
  CommitOne({insert("7.5")});
  Repeat(insert("7.5"));
  store_->Psql("DROP TABLE price");
}

TEST_F(PostgresKeptStatements, ResultThatGetsAnotherTypeCostsAtMostOneNo) {
  const Statement read =
      Sql("SELECT amount FROM held WHERE amount = 100 ORDER BY name FOR UPDATE");
  Repeat(read);
  ASSERT_EQ(store_->Psql("ALTER TABLE held ALTER amount TYPE numeric"), "ALTER TABLE");
  CommitOne({read});
  Repeat(read);
}

TEST_F(PostgresKeptStatements, SessionThatLostThemAllGoesOn) {
  Repeat(store_->Add("a", 1));
  store_->Psql(
      "CREATE OR REPLACE FUNCTION let_go() RETURNS int LANGUAGE plpgsql AS $$ BEGIN "
      "EXECUTE 'DEALLOCATE ALL'; RETURN 0; END $$");
  // What follows the function in its own branch is kept as well: a no, and nothing worse.
  CommitOne({Sql("UPDATE held SET amount = amount + let_go()")});
  CommitOne({store_->Add("a", 1)});
  Repeat(store_->Add("a", 1));
  store_->Psql("DROP FUNCTION let_go");
}

TEST_F(PostgresKeptStatements, LiteralIsReadWithTheSettingsOfItsOwnBranch) {
  store_->Psql("CREATE TABLE day (d date)");
  const Statement insert = Sql("INSERT INTO day VALUES ('02/03/2020')");
  Repeat(insert);
  const Vote vote = CommitOne({Sql("SET LOCAL datestyle = 'ISO, DMY'"), insert});
  ASSERT_EQ(vote.kind, VoteKind::kYes) << vote.reason;
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM day WHERE d = '2020-03-02'"), "1");
  store_->Psql("DROP TABLE day");
}

}  // namespace
}  // namespace indoubt
