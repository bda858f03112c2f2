// What a logged last resource saves, counted: forced writes of the decision log and of
// PostgreSQL, and round trips to PostgreSQL, over the same orders one after the other.
#include <array>
#include <csignal>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "coordinator/service.h"
#include "tests/support/eventually.h"
#include "tests/support/order_load.h"
#include "tests/support/stores.h"
#include "tests/support/strace_trace.h"
#include "tests/support/trace_events.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);
constexpr int kOrders = 100;
/// Syncs that no transaction asks for: starting and ending, and tending once a second.
constexpr int kBesides = 15;

struct Counted {
  int64_t log_syncs = 0;       // of the coordinator's decision log
  int64_t postgres_syncs = 0;  // of PostgreSQL's WAL
  int64_t trips = 0;           // scripts that work, prepare or commit sent to PostgreSQL
  int64_t besides = 0;         // most syncs of either that no transaction asked for
};

bool Contains(const std::string& bytes, std::string_view what) {
  return bytes.find(what) != std::string::npos;
}

/// One send is one script and one wait for its answer.
bool IsTrip(const TraceEvent& event) {
  if (event.kind != TraceEvent::Kind::kSend) return false;
  using std::string_view_literals::operator""sv;
  // A script that carries the work, a second phase, or a COMMIT of its own.
  for (const std::string_view of_a_transaction :
       {"INSERT INTO orders"sv, " PREPARED '"sv, "\0COMMIT\0"sv}) {
    if (Contains(event.bytes, of_a_transaction)) return true;
  }
  return false;
}

class LastResourceCount : public ::testing::Test {
 protected:
  int64_t PostgresSyncs() {
    return std::atoll(stores_.AskPostgres("SELECT wal_sync FROM pg_stat_wal").c_str());
  }

  Counted Run(bool last_resource, int64_t first) {
    stores_.SetLastResource(last_resource);
    const std::string trace = fmt::format("{}/{}.strace", stores_.folder(), first);
    const int64_t before = PostgresSyncs();
    const TimePoint began = SystemClock().Now();
    const auto serve =
        stores_.Serve({}, StraceCommand(trace, fmt::format("{},{}", kFileCalls, kSocketCalls)));
    const auto client = ConnectExecutor(stores_.service_address());
    const auto answers = RunOrders(*client, first, /*at_once=*/1,
                                   [&](int64_t order) { return order < first + kOrders; });
    for (const auto& [order, outcome] : answers) {
      EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
    }
    serve->Signal(SIGTERM);
    EXPECT_TRUE(serve->Wait(SystemClock().Now() + kLimit));
    EXPECT_TRUE(Eventually([&] { return TraceHasEnded(trace); }, kLimit));
    // A session tells what it has counted when it ends.
    EXPECT_TRUE(Eventually([&] {
      return stores_.AskPostgres(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type = "
                 "'client backend' AND pid <> pg_backend_pid()") == "0";
    }));
    Counted counted;
    counted.postgres_syncs = PostgresSyncs() - before;
    const auto took =
        std::chrono::ceil<std::chrono::seconds>(SystemClock().Now() - began).count();
    counted.besides = kBesides + 2 * took;
    const auto events = LoadTraceEvents(trace);
    EXPECT_TRUE(events) << events.error().ToString();
    for (const TraceEvent& event : events.value_or(std::vector<TraceEvent>{})) {
      const bool log = Contains(event.path, "/decisions/");
      if (event.kind == TraceEvent::Kind::kSync && log) ++counted.log_syncs;
      if (IsTrip(event)) ++counted.trips;
    }
    EXPECT_EQ(stores_.Leftovers(), "");
    fmt::print("{}: {} orders, {} syncs of the log, {} of PostgreSQL's WAL, {} trips\n",
               last_resource ? "last resource" : "prepared", kOrders, counted.log_syncs,
               counted.postgres_syncs, counted.trips);
    return counted;
  }

  Stores stores_;
};

TEST_F(LastResourceCount, OneForcedWriteAndOneRoundTripLessATransaction) {
  const Counted prepared = Run(/*last_resource=*/false, 1);
  const Counted last = Run(/*last_resource=*/true, 1001);
  // Prepared: PREPARE TRANSACTION, the decision, COMMIT PREPARED.
  EXPECT_EQ(prepared.trips, 2 * kOrders);
  EXPECT_GE(prepared.log_syncs, kOrders);
  EXPECT_GE(prepared.postgres_syncs, 2 * kOrders);
  // Last resource: one COMMIT is all three.
  EXPECT_EQ(last.trips, kOrders);
  EXPECT_LE(last.log_syncs, last.besides) << "the log was forced for a transaction";
  EXPECT_GE(last.postgres_syncs, kOrders);
  EXPECT_LE(last.postgres_syncs, kOrders + last.besides);
}

}  // namespace
}  // namespace indoubt::testing
