// Nothing of a branch stays in the session for the next one: not what a function or a trigger
// has set, locked or made, and not for the second phase either. What a branch has to hold until
// the decision it holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/participants/contract_calls.h"
#include "tests/participants/postgres/postgres_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

Statement Sql(std::string text) {
  return {.text = std::move(text), .params = {}, .expect_rows = {}};
}

/// What hides in functions, from the text of a statement.
constexpr const char* kMade[] = {
    "CREATE FUNCTION f_set(name text, value text) RETURNS text LANGUAGE plpgsql AS "
    "$$ BEGIN RETURN set_config(name, value, false); END $$",
    "CREATE FUNCTION f_run(sql text) RETURNS int LANGUAGE plpgsql AS "
    "$$ BEGIN EXECUTE sql; RETURN 0; END $$",
    "CREATE FUNCTION f_tenant() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN PERFORM set_config('app.tenant', NEW.name, false); RETURN NEW; END $$",
    "CREATE TRIGGER tenant BEFORE UPDATE ON held FOR EACH ROW EXECUTE FUNCTION f_tenant()",
    "CREATE SCHEMA elsewhere",
    "CREATE TABLE elsewhere.held (name text PRIMARY KEY, amount bigint NOT NULL)",
    "INSERT INTO elsewhere.held VALUES ('a', 7)",
    "CREATE ROLE lowly NOLOGIN",
    "CREATE SEQUENCE numbers",
};
constexpr const char* kDropped[] = {
    "DROP SCHEMA IF EXISTS elsewhere CASCADE", "DROP FUNCTION IF EXISTS f_set, f_run",
    "DROP FUNCTION IF EXISTS f_tenant CASCADE", "DROP SEQUENCE IF EXISTS numbers",
    "DROP ROLE IF EXISTS lowly"};

class PostgresSession : public PostgresFixture {
 protected:
  void SetUp() override {
    PostgresFixture::SetUp();
    if (HasFatalFailure()) return;
    for (const char* sql : kDropped) store_->Psql(sql);
    for (const char* sql : kMade) {
      const std::string made = store_->Psql(sql);
      ASSERT_FALSE(made.starts_with("ERROR")) << sql << ": " << made;
    }
    participant_ = store_->MakeParticipantWith("", 2);  // one connection for work
  }
  void TearDown() override {
    participant_.reset();
    for (const char* sql : kDropped) store_->Psql(sql);
  }
  /// What `expression` is in the session that the next client gets.
  std::string See(const std::string& expression) {
    const PrepareReply reply =
        PrepareNow(*participant_, NewTestGid(), {Sql("SELECT (" + expression + ")::text")});
    EXPECT_EQ(reply.vote.kind, VoteKind::kReadOnly) << reply.vote.reason;
    if (reply.results.size() != 1) return "nothing";
    const auto& row = std::get<std::vector<Value>>(reply.results[0].values.at(0).held);
    const auto* text = std::get_if<std::string>(&row.at(0).held);
    return text == nullptr ? "NULL" : *text;
  }
  /// The pid of the one session that all of a test's branches share.
  std::string Pid() { return See("pg_backend_pid()"); }
  /// Prepares and commits a branch that writes and runs `text`.
  void CommitWith(const std::string& text) {
    const Gid gid = NewTestGid();
    const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("b", 1), Sql(text)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << text << ": " << reply.vote.reason;
    const Ack ack = CommitNow(*participant_, gid, reply.vote.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << text << ": " << ack.reason;
  }
  /// The same in one phase.
  void CommitAloneWith(const std::string& text) {
    auto branch = participant_->Begin(NewTestGid(), TestDeadline());
    const OnePhaseReply reply = CommitOnePhaseNow(*branch, {store_->Add("b", 1), Sql(text)});
    EXPECT_EQ(reply.kind, OnePhaseKind::kCommitted) << text << ": " << reply.reason;
  }
  /// A branch of somebody who wants nothing but to add to "a".
  void ExpectInnocentCommits() {
    const int64_t before = store_->Look("a").value_or(0);
    const Gid gid = NewTestGid();
    const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("a", 5)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    const Ack ack = CommitNow(*participant_, gid, reply.vote.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
    EXPECT_EQ(store_->Look("a"), before + 5);
  }
};

TEST_F(PostgresSession, SettingsOfAFunctionDoNotReachTheNextBranch) {
  const std::string pid = Pid();
  const std::pair<const char*, const char*> kSet[] = {
      {"search_path", "elsewhere"},       {"default_transaction_read_only", "on"},
      {"statement_timeout", "60000"},     {"role", "lowly"},
      {"session_authorization", "lowly"}, {"lock_timeout", "60000"},
      {"app.tenant", "theirs"},           {"session_replication_role", "replica"}};
  for (const auto& [name, value] : kSet) {
    SCOPED_TRACE(name);
    const std::string now = std::string("current_setting('") + name + "', true)";
    const std::string before = See(now);
    CommitWith(std::string("SELECT f_set('") + name + "', '" + value + "')");
    const std::string after = See(now);
    EXPECT_TRUE(after == before || (before == "NULL" && after.empty())) << after;
    ExpectInnocentCommits();
    CommitAloneWith(std::string("SELECT f_set('") + name + "', '" + value + "')");
    ExpectInnocentCommits();
  }
  EXPECT_EQ(store_->Psql("SELECT amount FROM elsewhere.held"), "7");
  EXPECT_EQ(Pid(), pid) << "the session is used again";
}

TEST_F(PostgresSession, RoleTakenInOneBranchRefusesNobodysCommit) {
  const Gid innocent = NewTestGid();
  const PrepareReply voted = PrepareNow(*participant_, innocent, {store_->Add("a", 5)});
  ASSERT_EQ(voted.vote.kind, VoteKind::kYes) << voted.vote.reason;
  for (int i = 0; i < 2; ++i) {  // whichever of its two connections
    CommitWith("SELECT f_set('role', 'lowly')");
    EXPECT_EQ(PrepareNow(*participant_, NewTestGid(), {Sql("SELECT f_set('role', 'lowly')")})
                  .vote.kind,
              VoteKind::kReadOnly);
  }
  const Ack ack = CommitNow(*participant_, innocent, voted.vote.token);
  EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
  EXPECT_EQ(store_->Look("a"), 105);
}

TEST_F(PostgresSession, RoleGivenWithTheConnectionIsTheOneThatComesBack) {
  store_->Psql("GRANT ALL ON held TO lowly");
  participant_ = store_->MakeParticipantWith("options='-c role=lowly'", 2);
  EXPECT_EQ(See("current_user"), "lowly");
  CommitWith("SELECT f_set('role', 'none')");
  EXPECT_EQ(See("current_user"), "lowly");
  store_->Psql("REVOKE ALL ON held FROM lowly");
}

TEST_F(PostgresSession, RoleOfASessionThatIsNoSuperusersComesBackToo) {
  store_->Psql("CREATE ROLE plain LOGIN IN ROLE lowly");
  store_->Psql("GRANT ALL ON held TO plain");
  participant_ = store_->MakeParticipantWith("user=plain", 2);
  const std::string pid = Pid();
  EXPECT_EQ(See("current_user"), "plain");
  CommitWith("SELECT f_set('role', 'lowly')");
  EXPECT_EQ(See("concat_ws(' ', session_user, current_user, current_setting('role'))"),
            "plain plain none");
  CommitAloneWith("SELECT f_set('role', 'lowly')");
  ExpectInnocentCommits();
  EXPECT_EQ(Pid(), pid);
  participant_.reset();
  store_->Psql("REVOKE ALL ON held FROM plain");
  EXPECT_EQ(store_->Psql("DROP ROLE plain"), "DROP ROLE");
}

TEST_F(PostgresSession, LimitsOfOursAreThereAfterEveryBranch) {
  const std::string limits =
      "concat_ws(' ', current_setting('lock_timeout'), current_setting('statement_timeout'), "
      "current_setting('client_connection_check_interval'))";
  EXPECT_EQ(See(limits), "5min 0 1s");
  participant_ =
      store_->MakeParticipantWith("options='-c statement_timeout=7s -c work_mem=5MB'", 2);
  CommitWith("SELECT f_run('RESET ALL')");
  CommitWith("SELECT f_set('work_mem', '9MB')");
  EXPECT_EQ(See(limits), "5min 0 1s");
  EXPECT_EQ(See("current_setting('work_mem')"), "5MB") << "what the connection asked for";
}

TEST_F(PostgresSession, CustomSettingOfATriggerIsNotSeenByTheNextClient) {
  const std::string pid = Pid();
  const std::string tenant = "coalesce(current_setting('app.tenant', true), '')";
  CommitWith("UPDATE held SET amount = amount WHERE name = 'a'");
  EXPECT_EQ(See(tenant), "");
  CommitAloneWith("UPDATE held SET amount = amount WHERE name = 'a'");
  EXPECT_EQ(See(tenant), "");
  EXPECT_EQ(Pid(), pid);
}

TEST_F(PostgresSession, AdvisorySessionLockOfAFunctionIsReleased) {
  const std::string pid = Pid();
  const auto free = [&] {
    return store_->Psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0";
  };
  const std::string lock = "SELECT f_run('SELECT pg_' || 'ad' || 'visory_lock(98)')";
  CommitWith(lock);
  EXPECT_TRUE(Eventually(free)) << "after a prepare";
  CommitAloneWith(lock);
  EXPECT_TRUE(Eventually(free)) << "after a commit in one phase";
  EXPECT_EQ(PrepareNow(*participant_, NewTestGid(), {Sql(lock)}).vote.kind,
            VoteKind::kReadOnly);
  EXPECT_TRUE(Eventually(free)) << "after a read";
  EXPECT_EQ(PrepareNow(*participant_, NewTestGid(), {Sql(lock), Sql("SELECT 1/0")}).vote.kind,
            VoteKind::kNo);
  EXPECT_TRUE(Eventually(free)) << "after a rollback, which does not release it";
  EXPECT_EQ(Pid(), pid);
}

TEST_F(PostgresSession, TemporaryTableOfAFunctionShadowsNobodysTable) {
  const std::string pid = Pid();
  CommitAloneWith("SELECT f_run('CREATE TEMP TABLE held (name text, amount bigint)')");
  EXPECT_EQ(See("SELECT relpersistence FROM pg_class WHERE oid = 'held'::regclass"), "p");
  ExpectInnocentCommits();
  EXPECT_EQ(Pid(), pid);
}

TEST_F(PostgresSession, CursorsSequencesAndChannelsEndWithTheirBranch) {
  const std::string pid = Pid();
  CommitAloneWith("SELECT f_run('DECLARE kept CURSOR WITH HOLD FOR SELECT 1')");
  EXPECT_EQ(See("SELECT count(*) FROM pg_cursors WHERE name = 'kept'"), "0");
  CommitAloneWith("SELECT f_run('LISTEN somebody')");
  EXPECT_EQ(See("SELECT count(*) FROM pg_listening_channels()"), "0");
  CommitWith("SELECT nextval('numbers')");
  EXPECT_EQ(Pid(), pid);
  const PrepareReply last = PrepareNow(*participant_, NewTestGid(), {Sql("SELECT lastval()")});
  EXPECT_EQ(last.vote.kind, VoteKind::kNo);
  EXPECT_THAT(last.vote.reason, HasSubstr("lastval"));
}

TEST_F(PostgresSession, StatementsThatAFunctionPreparedAreSoonGone) {
  const std::string prepare = "SELECT f_run('PREPARE theirs AS SELECT 1')";
  CommitWith(prepare);
  EXPECT_TRUE(Eventually([&] {
    return See("SELECT count(*) FROM pg_prepared_statements WHERE from_sql") == "0";
  }));
  // One of a name of ours costs its own branch at most, or the next that would have kept its
  // own under that name.
  for (int i = 1; i < 40; ++i) {
    PrepareNow(*participant_, NewTestGid(),
               {Sql("SELECT f_run('PREPARE indoubt_" + std::to_string(i) + " AS SELECT 1')")});
  }
  EXPECT_TRUE(Eventually([&] {
    return See("SELECT count(*) FROM pg_prepared_statements WHERE from_sql") == "0";
  }));
  ExpectInnocentCommits();
}

TEST_F(PostgresSession, OursLetGoByAFunctionCostItsOwnBranchAtMost) {
  for (int i = 0; i < 3; ++i) ExpectInnocentCommits();  // now they are kept
  PrepareNow(*participant_, NewTestGid(), {Sql("SELECT f_run('DEALLOCATE ALL')")});
  ExpectInnocentCommits();
}

TEST_F(PostgresSession, ChangeOfTheSessionAloneIsAReadOnlyVote) {
  for (const char* text :
       {"SET ROLE pg_monitor", "RESET ALL", "SET SESSION AUTHORIZATION lowly",
        "SET default_transaction_read_only = on", "DISCARD SEQUENCES",
        "SET statement_timeout = 600000"}) {
    const Vote vote = PrepareNow(*participant_, NewTestGid(), {Sql(text)}).vote;
    EXPECT_EQ(vote.kind, VoteKind::kReadOnly) << text << ": " << vote.reason;
  }
  // One hidden in a write that touches nothing.
  const Vote hidden = PrepareNow(*participant_, NewTestGid(),
                                 {Sql("UPDATE held SET amount = 0 WHERE f_set('role', 'lowly') "
                                      "IS NULL")})
                          .vote;
  EXPECT_EQ(hidden.kind, VoteKind::kReadOnly) << hidden.reason;
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
}

TEST_F(PostgresSession, UnexpectedRowsAreTakenBackWhateverRoleAFunctionTook) {
  Statement none = store_->Add("nobody", 1);
  none.expect_rows = 1;
  const Vote vote =
      PrepareNow(*participant_, NewTestGid(),
                 {store_->Add("a", 1), Sql("SELECT f_set('role', 'lowly')"), none})
          .vote;
  EXPECT_EQ(vote.kind, VoteKind::kNo) << vote.reason;
  EXPECT_EQ(store_->Psql("SELECT count(*) FROM pg_prepared_xacts"), "0");
}

TEST_F(PostgresSession, ResetWithAWriteKeepsTheBranchOurs) {
  for (const char* text : {"RESET ALL", "SET SESSION AUTHORIZATION lowly", "SET ROLE lowly"}) {
    const Gid gid = NewTestGid();
    const PrepareReply reply = PrepareNow(*participant_, gid, {store_->Add("a", 5), Sql(text)});
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << text << ": " << reply.vote.reason;
    EXPECT_EQ(store_->Psql("SELECT owner = current_user FROM pg_prepared_xacts"), "t") << text;
    EXPECT_EQ(CommitNow(*participant_, gid, reply.vote.token).kind, AckKind::kDone) << text;
  }
}

/// A statement that takes a lock, and one of somebody else's that must not get it.
struct LockCase {
  std::vector<const char*> statements;
  const char* other;
};

class PostgresLocks : public PostgresSession, public testing::WithParamInterface<LockCase> {};

TEST_P(PostgresLocks, AreHeldFromTheVoteToTheDecision) {
  std::vector<Statement> statements;
  for (const char* text : GetParam().statements) statements.push_back(Sql(text));
  for (const bool commit : {true, false}) {
    const Gid gid = NewTestGid();
    const PrepareReply reply = PrepareNow(*participant_, gid, statements);
    ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
    const auto other = [&] {
      store_->Psql("BEGIN");
      const std::string got = store_->Psql(GetParam().other);
      store_->Psql("ROLLBACK");
      return got;
    };
    const std::string refused = other();
    EXPECT_TRUE(refused == "f" || refused == "ERROR: 55P03") << refused;
    const Ack ack = commit ? CommitNow(*participant_, gid, reply.vote.token)
                           : RollbackNow(*participant_, gid, reply.vote.token);
    EXPECT_EQ(ack.kind, AckKind::kDone) << ack.reason;
    const std::string got = other();
    EXPECT_TRUE(got == "t" || got == "LOCK TABLE") << got;
  }
}

constexpr const char* kWritersLock = "LOCK TABLE held IN ROW EXCLUSIVE MODE NOWAIT";
INSTANTIATE_TEST_SUITE_P(
    Each, PostgresLocks,
    testing::Values(
        LockCase{{"lock table held in share mode"}, kWritersLock},
        LockCase{{"LOCK held IN SHARE ROW EXCLUSIVE MODE"}, kWritersLock},
        LockCase{{"SELECT 1", "LOCK TABLE held IN EXCLUSIVE MODE"}, kWritersLock},
        LockCase{{"DO $$ BEGIN LOCK TABLE held IN SHARE MODE; END $$"}, kWritersLock},
        LockCase{{"select pg_advisory_xact_lock(42)"}, "SELECT pg_try_advisory_xact_lock(42)"},
        LockCase{{"SELECT pg_try_advisory_xact_lock_shared(42)", "SELECT 1"},
                 "SELECT pg_try_advisory_xact_lock(42)"}));

TEST_F(PostgresLocks, TakenInAnEarlierCallAreHeldAsWell) {
  const Gid gid = NewTestGid();
  auto branch = participant_->Begin(gid, TestDeadline());
  ASSERT_TRUE(WorkNow(*branch, {Sql("SELECT pg_advisory_xact_lock(42)")}));
  const PrepareReply reply = PrepareNow(*branch, {Sql("SELECT 1")});
  ASSERT_EQ(reply.vote.kind, VoteKind::kYes) << reply.vote.reason;
  EXPECT_EQ(store_->Psql("SELECT pg_try_advisory_xact_lock(42)"), "f");
  EXPECT_EQ(CommitNow(*participant_, gid, reply.vote.token).kind, AckKind::kDone);
}

TEST_F(PostgresSession, NotificationsAreRefusedHoweverTheyAreSaid) {
  for (const char* text : {"NOTIFY somebody", "SELECT pg_notify('somebody', '')",
                           "select pg_catalog.PG_NOTIFY('somebody', '')"}) {
    for (const bool with_write : {false, true}) {
      std::vector<Statement> statements{Sql(text)};
      if (with_write) statements.push_back(store_->Add("a", 1));
      const Vote vote = PrepareNow(*participant_, NewTestGid(), statements).vote;
      EXPECT_EQ(vote.kind, VoteKind::kNo) << text;
      EXPECT_THAT(vote.reason, HasSubstr("NOTIFY")) << text;
    }
  }
  CommitAloneWith("SELECT pg_notify('somebody', '')");
}

}  // namespace
}  // namespace indoubt
