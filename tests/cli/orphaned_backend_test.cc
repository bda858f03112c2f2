// A client is killed while its last resource commits: PostgreSQL's backend does not notice
// and may still commit. Recovery waits for it, and agrees with it.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "tests/support/eventually.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);

/// Holds a lock in a transaction of its own.
class PostgresLock {
 public:
  PostgresLock(const std::string& dsn, const std::string& sql)
      : connection_(PQconnectdb(dsn.c_str()), PQfinish) {
    Run("BEGIN");
    Run(sql);
  }
  void Release() { Run("ROLLBACK"); }

 private:
  void Run(const std::string& sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexec(connection_.get(), sql.c_str()), PQclear);
    EXPECT_EQ(PQresultStatus(result.get()), PGRES_COMMAND_OK)
        << PQerrorMessage(connection_.get());
  }
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

class OrphanedBackend : public ::testing::Test {
 protected:
  OrphanedBackend() {
    stores_.SetLastResource(true);
    // Makes the decision table, so that recovery has no more of its own to write.
    EXPECT_TRUE(stores_.Indoubt({"doctor", "-c", stores_.config_path()}).Exited(0));
  }

  std::unique_ptr<Process> Start(std::vector<std::string> arguments, const char* name) {
    ProcessSpec spec;
    spec.argv = {std::getenv("INDOUBT_BINARY")};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.output_path = Output(name);
    auto process = Process::Start(spec);
    EXPECT_TRUE(process) << process.error().ToString();
    return std::move(*process);
  }
  std::string Output(const char* name) {
    return fmt::format("{}/{}.out", stores_.folder(), name);
  }
  std::unique_ptr<Process> StartRecovery() {
    return Start({"recover", "-c", stores_.config_path(), "--json"}, "recover");
  }

  bool Counts(const std::string& what, const std::string& count) {
    return Eventually(
        [&] {
          return stores_.AskPostgres("SELECT count(*) FROM pg_stat_activity WHERE " + what) ==
                 count;
        },
        kLimit);
  }
  /// A standby that is not there holds every commit up that does not say otherwise.
  void HoldCommitsUp(bool hold) {
    stores_.AskPostgres(
        fmt::format("ALTER SYSTEM SET synchronous_standby_names = '{}'", hold ? "nobody" : ""));
    stores_.AskPostgres("SELECT pg_reload_conf()");
  }
  void ExpectSettled(int64_t order, const char* held) {
    EXPECT_EQ(stores_.OrderIn(order), held);
    EXPECT_EQ(stores_.Leftovers(), "");
    EXPECT_EQ(stores_.Unwritable(order), "");
    EXPECT_EQ(stores_.Unbalanced(), "");
  }

  Stores stores_;
};

TEST_F(OrphanedBackend, ThatCommitsAfterItsClientDiedIsWaitedForAndAgreedWith) {
  // Only the transaction under test asks for the standby.
  stores_.AskPostgres("ALTER DATABASE postgres SET synchronous_commit = 'local'");
  HoldCommitsUp(true);
  ASSERT_TRUE(Eventually(
      [&] { return stores_.AskPostgres("SHOW synchronous_standby_names") == "nobody"; },
      kLimit));
  std::vector<std::string> order = stores_.OrderArguments(1);
  order.insert(order.end(), {"--on", "accounts", "SET LOCAL synchronous_commit = 'on'"});
  const auto client = Start(order, "exec");
  const std::string committing = "wait_event = 'SyncRep'";
  ASSERT_TRUE(Counts(committing, "1")) << ReadText(Output("exec"));
  client->KillAndWait();

  const auto recovery = StartRecovery();
  ASSERT_TRUE(Counts("wait_event_type = 'Lock' AND query LIKE '%indoubt.decisions%'", "1"))
      << "recovery does not wait for the commit: " << ReadText(Output("recover"));
  EXPECT_TRUE(Counts(committing, "1")) << "the backend has noticed";
  EXPECT_EQ(stores_.OrderIn(1), "000") << "somebody has been told before it is decided";

  HoldCommitsUp(false);
  const auto ended = recovery->Wait(SystemClock().Now() + kLimit);
  ASSERT_TRUE(ended && ended->code == 0) << ReadText(Output("recover"));
  EXPECT_NE(ReadText(Output("recover")).find(R"("committed":1)"), std::string::npos)
      << ReadText(Output("recover"));
  ExpectSettled(1, "111");
}

TEST_F(OrphanedBackend, ThatComesTooLateFindsTheAbort) {
  // Its work waits for a lock of ours, so that its commit has not begun.
  PostgresLock lock(stores_.postgres().dsn(), "LOCK TABLE orders");
  const auto client = Start(stores_.OrderArguments(2), "exec");
  const std::string waiting = "wait_event_type = 'Lock' AND query LIKE 'INSERT INTO orders%'";
  ASSERT_TRUE(Counts(waiting, "1")) << ReadText(Output("exec"));
  client->KillAndWait();
  const auto recovery = StartRecovery();
  const auto ended = recovery->Wait(SystemClock().Now() + kLimit);
  ASSERT_TRUE(ended && ended->code == 0) << ReadText(Output("recover"));
  EXPECT_NE(ReadText(Output("recover")).find(R"("rolled_back":1)"), std::string::npos)
      << ReadText(Output("recover"));
  lock.Release();
  EXPECT_TRUE(Counts("query LIKE 'INSERT INTO orders%' AND state <> 'idle'", "0"));
  EXPECT_EQ(stores_.OrderIn(2), "000");
  // The abort row may have had to stay while the late one was there.
  EXPECT_TRUE(stores_.Indoubt({"recover", "-c", stores_.config_path()}).Exited(0));
  ExpectSettled(2, "000");
}

}  // namespace
}  // namespace indoubt::testing
