// Tables that nobody changes must not hold the source's WAL while others write: the worker
// asks the source how far it is, and confirms that.
#include <fmt/format.h>

#include "tests/cdc/fixture.h"

namespace indoubt {
namespace {

class CdcHeartbeatTest : public CdcFixture {
 protected:
  /// More than a segment of WAL that has nothing to do with the worker's tables.
  static void WriteElsewhere(SourceClient& client) {
    client.Run("CREATE TABLE IF NOT EXISTS large(filler text)");
    client.Run(
        "INSERT INTO large SELECT repeat(md5(n::text), 50) "
        "FROM generate_series(1, 12000) n");
  }
  /// Whether the slot lets go of everything before `lsn`. A checkpoint writes the record by
  /// which a slot moves; otherwise the server does every 15 s.
  bool SlotLetsGoOf(const std::string& lsn) const {
    SourceClient client = Client();
    client.Run("CHECKPOINT");
    return client.Run(fmt::format("SELECT restart_lsn >= '{}' AND confirmed_flush_lsn >= '{}' "
                                  "FROM pg_replication_slots",
                                  lsn, lsn)) == "t";
  }
};

TEST_F(CdcHeartbeatTest, AnIdleTableHoldsNoWalWhileOtherTablesAndDatabasesAreWritten) {
  const CdcOptions options = Options();
  SourceClient client = Client();
  client.Run("CREATE DATABASE neighbour");
  SourceClient neighbour(postgres_->dsn("neighbour"));
  auto worker = CdcWorker::Start(options);
  ASSERT_TRUE(worker) << worker.error().ToString();
  client.Run("INSERT INTO moves(item, amount) VALUES ('a', 1)");
  ExpectViewsEqualSource();
  const std::string events = SqliteOne(event_log_path_, "SELECT max(lsn) FROM events");

  for (SourceClient* writer : {&neighbour, &client}) {
    const std::string before = client.Run("SELECT pg_current_wal_flush_lsn()");
    WriteElsewhere(*writer);
    const std::string after = client.Run("SELECT pg_current_wal_flush_lsn()");
    EXPECT_EQ(
        client.Run(fmt::format("SELECT '{}'::pg_lsn - '{}' > 16 * 1024 * 1024", after, before)),
        "t");
    EXPECT_TRUE(Eventually([&] { return SlotLetsGoOf(after); }))
        << client.Run("SELECT restart_lsn FROM pg_replication_slots") << " before " << after;
  }
  EXPECT_EQ(SqliteOne(event_log_path_, "SELECT max(lsn) FROM events"), events)
      << "the log has changes of what was written elsewhere";
  EXPECT_TRUE((*worker)->health().ok()) << (*worker)->health().ToString();

  // Without a worker the slot does hold it: what is asked above can be false.
  worker->reset();
  WriteElsewhere(neighbour);
  EXPECT_FALSE(SlotLetsGoOf(client.Run("SELECT pg_current_wal_flush_lsn()")));
}

}  // namespace
}  // namespace indoubt
