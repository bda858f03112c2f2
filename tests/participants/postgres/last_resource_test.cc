// PostgreSQL as a logged last resource, on a real server: one row stands, whoever comes
// first, and rows go only when nobody can run into them any more.
#include "participants/last_resource.h"

#include <future>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "participants/postgres/postgres_participant.h"
#include "tests/participants/postgres/postgres_store.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto kLimit = std::chrono::seconds(20);

TimePoint In(Duration duration) { return SystemClock().Now() + duration; }

class PostgresLastResource : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto started = PostgresStore::Start();
    ASSERT_NE(started, nullptr);
    store_.reset(static_cast<PostgresStore*>(started.release()));
  }
  static void TearDownTestSuite() { store_.reset(); }
  void SetUp() override {
    ASSERT_TRUE(store_->Reset().ok());
    store_->Psql("DROP SCHEMA IF EXISTS indoubt CASCADE");
    participant_ = Make(store_->server().dsn());
    Preflight();
  }

  static std::unique_ptr<Participant> Make(const std::string& dsn) {
    PostgresOptions options{.name = "store", .dsn = dsn, .max_connections = 8};
    options.last_resource = true;
    auto made = MakePostgresParticipant(options);
    EXPECT_TRUE(made) << made.error().ToString();
    return std::move(*made);
  }
  void Preflight() {
    const auto report = participant_->Preflight(In(kLimit));
    ASSERT_TRUE(report) << report.error().ToString();
    EXPECT_THAT(report->problems, IsEmpty());
    last_ = participant_->last_resource();
    ASSERT_NE(last_, nullptr);
    ASSERT_TRUE(IsValidHome(last_->home())) << last_->home();
  }

  Gid NewGid(uint32_t incarnation = 7) {
    return {"n", log_, incarnation, ++number_, last_->home()};
  }
  OnePhaseReply CommitWith(const Gid& gid, std::vector<Statement> statements,
                           std::vector<BranchRecord> others = {{"stock", "t\x01"}}) {
    std::promise<OnePhaseReply> ended;
    auto branch = last_->BeginLast(gid, In(kLimit));
    branch->CommitDecision(std::move(statements), std::move(others),
                           [&](OnePhaseReply reply) { ended.set_value(std::move(reply)); });
    return ended.get_future().get();
  }
  OnePhaseReply Commit(const Gid& gid) {
    return CommitWith(gid, {{"UPDATE held SET amount = amount + 1 WHERE name = 'a'", {}, {}}});
  }
  std::future<StandingDecision> AskLater(const Gid& gid, Duration patience = kLimit) {
    auto promise = std::make_shared<std::promise<StandingDecision>>();
    auto future = promise->get_future();
    last_->Ask(gid, In(patience), [promise](StandingDecision standing) {
      promise->set_value(std::move(standing));
    });
    return future;
  }
  StandingDecision Ask(const Gid& gid) { return AskLater(gid).get(); }
  std::vector<Decision> List(uint32_t incarnation) {
    auto rows = last_->ListDecisions("n", log_, incarnation, In(kLimit));
    EXPECT_TRUE(rows) << rows.error().ToString();
    return rows.value_or(std::vector<Decision>{});
  }
  std::string Rows(const char* decision) {
    return store_->Psql(
        fmt::format("SELECT count(*) FROM indoubt.decisions WHERE decision = '{}'", decision));
  }
  bool Close(const Gid& floor) { return last_->CloseBelow(floor, In(kLimit)).ok(); }
  std::string Amount() { return store_->Psql("SELECT amount FROM held WHERE name = 'a'"); }

  static inline std::unique_ptr<PostgresStore> store_;
  std::unique_ptr<Participant> participant_;
  LastResource* last_ = nullptr;
  const LogId log_ = LogId::Random();
  uint64_t number_ = 0;
};

/// A session of its own, for what a late backend does.
class Session {
 public:
  explicit Session(const std::string& dsn) : connection_(PQconnectdb(dsn.c_str()), PQfinish) {}
  /// The command's tag, or its SQLSTATE.
  std::string Run(const std::string& sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexec(connection_.get(), sql.c_str()), PQclear);
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    return state != nullptr ? state : PQcmdStatus(result.get());
  }
  std::string InsertCommit(const Gid& gid) {
    return Run(fmt::format(
        "INSERT INTO indoubt.decisions (gid, branches, decision) VALUES ('{}', 'stock:74', "
        "(SELECT 'commit' WHERE NOT EXISTS (SELECT FROM indoubt.floors WHERE log = '{}' "
        "AND (incarnation, number) > ({}, {}))))",
        gid.ToString(), gid.log.text(), gid.incarnation, gid.number));
  }

 private:
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

TEST_F(PostgresLastResource, WorkAndDecisionAreOneCommit) {
  const Gid gid = NewGid();
  const OnePhaseReply reply = Commit(gid);
  EXPECT_EQ(reply.kind, OnePhaseKind::kCommitted) << reply.reason;
  ASSERT_EQ(reply.results.size(), 1u);
  EXPECT_EQ(reply.results[0].rows, 1);
  EXPECT_EQ(Amount(), "101");
  EXPECT_THAT(List(8), ElementsAre(Decision{gid, {{"stock", "t\x01"}}}));
  EXPECT_THAT(List(7), IsEmpty()) << "the incarnation that is left out";
  const StandingDecision standing = Ask(gid);
  EXPECT_EQ(standing.outcome, DecisionOutcome::kCommitted);
  EXPECT_EQ(standing.branches, (std::vector<BranchRecord>{{"stock", "t\x01"}}));
}

TEST_F(PostgresLastResource, FailedWorkLeavesNoRow) {
  const Gid gid = NewGid();
  const OnePhaseReply failed = CommitWith(gid, {{"INSERT INTO held VALUES ('a', 1)", {}, {}}});
  EXPECT_EQ(failed.kind, OnePhaseKind::kRolledBack);
  EXPECT_THAT(failed.reason, HasSubstr("statement 1"));
  Statement nobody{"UPDATE held SET amount = 1 WHERE name = 'nobody'", {}, 1};
  EXPECT_EQ(CommitWith(NewGid(), {nobody}).kind, OnePhaseKind::kRolledBack);
  EXPECT_EQ(Rows("commit"), "0");
  const OnePhaseReply lax =
      CommitWith(NewGid(), {{"SET LOCAL synchronous_commit = 'off'", {}, {}},
                            {"UPDATE held SET amount = 0", {}, {}}});
  EXPECT_EQ(lax.kind, OnePhaseKind::kRolledBack) << "its decision would not be durable";
  EXPECT_THAT(lax.reason, HasSubstr("synchronous_commit"));
  EXPECT_EQ(Amount(), "100");
}

TEST_F(PostgresLastResource, CommitThatComesAfterTheAbortFails) {
  const Gid gid = NewGid();
  EXPECT_EQ(Ask(gid).outcome, DecisionOutcome::kAborted);
  EXPECT_EQ(Commit(gid).kind, OnePhaseKind::kRolledBack);
  EXPECT_EQ(Ask(gid).outcome, DecisionOutcome::kAborted) << "asked again, the same";
  EXPECT_EQ(Amount(), "100");
}

TEST_F(PostgresLastResource, QuestionWaitsForACommitUnderWayAndAgreesWithIt) {
  for (const bool commits : {true, false}) {
    const Gid gid = NewGid();
    Session late(store_->server().dsn());
    late.Run("BEGIN");
    ASSERT_EQ(late.InsertCommit(gid), "INSERT 0 1");
    EXPECT_EQ(AskLater(gid, std::chrono::milliseconds(200)).get().outcome,
              DecisionOutcome::kUnknown)
        << "nothing is presumed";
    auto asked = AskLater(gid);
    ASSERT_TRUE(Eventually([&] {
      return store_->Psql(
                 "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                 "AND query LIKE '%indoubt.decisions%'") == "1";
    }));
    late.Run(commits ? "COMMIT" : "ROLLBACK");
    EXPECT_EQ(asked.get().outcome,
              commits ? DecisionOutcome::kCommitted : DecisionOutcome::kAborted);
  }
}

TEST_F(PostgresLastResource, NoCommitBelowTheFloorGetsThrough) {
  const Gid old = NewGid(6), open = NewGid(7);
  EXPECT_TRUE(Close(open));
  EXPECT_EQ(Commit(old).kind, OnePhaseKind::kRolledBack);
  EXPECT_EQ(Commit(open).kind, OnePhaseKind::kCommitted);
  EXPECT_EQ(Ask(old).outcome, DecisionOutcome::kAborted);
  EXPECT_TRUE(Close(old)) << "a lower floor changes nothing";
  EXPECT_EQ(Commit(NewGid(6)).kind, OnePhaseKind::kRolledBack);
}

TEST_F(PostgresLastResource, AbortRowStaysWhileAnOlderSnapshotMayMissTheFloor) {
  const Gid gid = NewGid(6);
  // A late backend that has looked before the floor was there, and goes on afterwards.
  Session late(store_->server().dsn());
  late.Run("BEGIN ISOLATION LEVEL REPEATABLE READ");
  late.Run("SELECT count(*) FROM indoubt.floors");
  EXPECT_EQ(Ask(gid).outcome, DecisionOutcome::kAborted);
  EXPECT_TRUE(Close(NewGid(7)));
  EXPECT_EQ(Rows("abort"), "1") << "it is all that stops the late one";
  EXPECT_EQ(late.InsertCommit(gid), "23505");
  late.Run("ROLLBACK");
  EXPECT_TRUE(Close(NewGid(7)));
  EXPECT_EQ(Rows("abort"), "0");
  EXPECT_EQ(late.InsertCommit(gid), "23502") << "now the floor stops it";
}

TEST_F(PostgresLastResource, AbortRowsAboveTheFloorStay) {
  const Gid gid = NewGid();
  Ask(gid);
  EXPECT_TRUE(Close(gid));
  EXPECT_EQ(Rows("abort"), "1");
  EXPECT_TRUE(Close(NewGid()));
  EXPECT_EQ(Rows("abort"), "0");
}

TEST_F(PostgresLastResource, RowsOfEndedTransactionsGoManyAtOnce) {
  std::vector<Gid> gids;
  for (int i = 0; i < 5; ++i) Commit(gids.emplace_back(NewGid()));
  const Gid kept = NewGid();
  Commit(kept);
  std::promise<Status> removed;
  last_->ForgetDecisions(gids, In(kLimit), [&](const Status& s) { removed.set_value(s); });
  EXPECT_TRUE(removed.get_future().get().ok());
  ASSERT_EQ(List(8).size(), 1u);
  EXPECT_EQ(List(8)[0].gid, kept);
}

TEST_F(PostgresLastResource, IdentityOfTheTableStaysAndAnotherTableHasAnother) {
  const std::string home = last_->home();
  Preflight();
  EXPECT_EQ(last_->home(), home);
  store_->Psql("DROP SCHEMA indoubt CASCADE");
  Preflight();
  EXPECT_NE(last_->home(), home);
}

TEST_F(PostgresLastResource, PreflightSaysWhatIsMissingAndHowToMendIt) {
  store_->Psql("ALTER TABLE indoubt.decisions SET UNLOGGED");
  auto report = participant_->Preflight(In(kLimit));
  ASSERT_TRUE(report && report->problems.size() == 1u);
  EXPECT_THAT(report->problems[0], HasSubstr("SET LOGGED"));
  store_->Psql("DROP SCHEMA indoubt CASCADE");
  store_->Psql("DROP ROLE IF EXISTS plain");
  store_->Psql("CREATE ROLE plain LOGIN");
  const auto plain = Make(store_->server().dsn() + " user=plain");
  report = plain->Preflight(In(kLimit));
  ASSERT_TRUE(report && report->problems.size() == 1u);
  EXPECT_THAT(report->problems[0], HasSubstr("CREATE SCHEMA indoubt AUTHORIZATION plain"));
  store_->Psql("CREATE SCHEMA indoubt AUTHORIZATION plain");
  report = plain->Preflight(In(kLimit));
  ASSERT_TRUE(report);
  EXPECT_THAT(report->problems, IsEmpty());
  EXPECT_TRUE(IsValidHome(plain->last_resource()->home()));
}

TEST(PostgresLastResourceAlone, NeedsNoPreparedTransactions) {
  ScratchFolder folder("indoubt-last-resource");
  auto server = PostgresServer::Start(folder.path(), {{"max_prepared_transactions", "0"}});
  ASSERT_TRUE(server) << server.error().ToString();
  PostgresOptions options{.name = "store", .dsn = (*server)->dsn()};
  options.last_resource = true;
  const auto participant = std::move(*MakePostgresParticipant(options));
  const auto report = participant->Preflight(In(kLimit));
  ASSERT_TRUE(report);
  EXPECT_THAT(report->problems, IsEmpty());
  LastResource* last = participant->last_resource();
  std::promise<OnePhaseReply> ended;
  auto branch = last->BeginLast({"n", LogId::Random(), 1, 1, last->home()}, In(kLimit));
  branch->CommitDecision({{"CREATE TABLE t (x int)", {}, {}}}, {{"stock", "t"}},
                         [&](OnePhaseReply reply) { ended.set_value(std::move(reply)); });
  EXPECT_EQ(ended.get_future().get().kind, OnePhaseKind::kCommitted);
}

}  // namespace
}  // namespace indoubt
