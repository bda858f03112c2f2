#include <csignal>

#include <fmt/format.h>

#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

class CdcWorkerKillTest : public CdcFixture {
 protected:
  std::unique_ptr<Process> StartChild(const std::string& fail_point) {
    ProcessSpec spec;
    const CdcOptions options = Options();
    spec.argv = {CDC_WORKER_CHILD, options.source_dsn, options.event_log_path, redis_->uri(),
                 sqlite_path_};
    spec.environment = {{"INDOUBT_FAILPOINT", fail_point}};
    auto child = Process::Start(spec);
    EXPECT_TRUE(child) << child.error().ToString();
    return std::move(*child);
  }

  // Starts a child that dies at `fail_point` while rows keep coming, and then one
  // that lives; the sums must be exact.
  void DieThereThenGoOn(const std::string& fail_point) {
    SCOPED_TRACE(fail_point);
    SourceClient client = Client();
    // The making of a slot waits for prepared transactions.
    const bool has_slot = client.Run("SELECT count(*) FROM pg_replication_slots") == "1" &&
                          !fail_point.starts_with("cdc_snapshot_chunk");
    const auto child = StartChild(fail_point + "=kill");
    std::optional<ExitState> ended;
    const bool died = Eventually([&] {
      client.Run("INSERT INTO moves(item, amount) VALUES ('a', 1), ('b', 10)");
      client.Run("INSERT INTO elsewhere(note) VALUES ('x')");
      if (has_slot) EndAndPrepare(client);
      ended = child->Wait(SystemClock().Now());
      return ended.has_value();
    });
    ASSERT_TRUE(died) << "never came to the fail point";
    ASSERT_TRUE(ended->by_signal && ended->code == SIGKILL) << ended->code;
    const auto next = StartChild("");
    ExpectViewsEqualSource();
  }

  /// Ends the two transactions that the last round left prepared, one of them with a
  /// commit, and prepares the next two.
  void EndAndPrepare(SourceClient& client) {
    if (prepared_ > 0) {
      client.Run(fmt::format("COMMIT PREPARED 'kept-{}'", prepared_));
      client.Run(fmt::format("ROLLBACK PREPARED 'dropped-{}'", prepared_));
    }
    ++prepared_;
    Prepare(client, fmt::format("kept-{}", prepared_), "('a', 100), ('d', 1000)");
    Prepare(client, fmt::format("dropped-{}", prepared_), "('a', 5), ('never', 1)");
  }
  static void Prepare(SourceClient& client, const std::string& gid, const std::string& rows) {
    client.Run("BEGIN");
    client.Run("INSERT INTO moves(item, amount) VALUES " + rows);
    client.Run("PREPARE TRANSACTION '" + gid + "'");
  }

  int prepared_ = 0;  // the number of the last two that were prepared
};

TEST_F(CdcWorkerKillTest, NothingIsLostOrRepeatedWhereverItDies) {
  Client().Run("INSERT INTO moves(item, amount) SELECT 'c', n FROM generate_series(1, 2500) n");
  for (const char* point :
       {"cdc_snapshot_chunk", "cdc_decoded", "cdc_decoded:7", "cdc_appended", "cdc_appended:5",
        "cdc_applied@cache", "cdc_applied@cache:6", "cdc_applied@table", "cdc_applied@table:6",
        "cdc_confirmed", "cdc_confirmed:4"}) {
    DieThereThenGoOn(point);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(prepared_, 5);
}

TEST_F(CdcWorkerKillTest, KilledInTheSnapshotTwiceItGoesOnWithIt) {
  Client().Run("INSERT INTO moves(item, amount) SELECT 'c', n FROM generate_series(1, 2500) n");
  for (const char* point : {"cdc_snapshot_chunk=kill", "cdc_snapshot_chunk:2=kill"}) {
    const auto child = StartChild(point);
    const auto ended = child->Wait(SystemClock().Now() + std::chrono::seconds(30));
    ASSERT_TRUE(ended && ended->by_signal && ended->code == SIGKILL);
    Client().Run("INSERT INTO moves(item, amount) VALUES ('c', 1)");
  }
  const auto child = StartChild("");
  ExpectViewsEqualSource();
}

}  // namespace
}  // namespace indoubt
