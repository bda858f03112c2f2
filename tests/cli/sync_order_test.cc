// strace as the witness: no store votes yes, and the coordinator tells nobody of a
// commit, before an fdatasync has covered the bytes that the promise stands on, or before
// a last resource has acknowledged the commit that carries the decision; a new segment's folder
// is synced before anything relies on it; and what commits nothing in the log leaves it alone.
// One traced run of real servers; what the checker must find is planted, too.
#include "tests/support/sync_order.h"

#include <fstream>
#include <future>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "coordinator/service.h"
#include "tests/support/eventually.h"
#include "tests/support/log_folder_order.h"
#include "tests/support/order_load.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"
#include "tests/support/strace_trace.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);
constexpr int kAlone = 4;     // transactions one after the other
constexpr int kTogether = 8;  // and as many at once, so that syncs are shared
constexpr int kRelaxed = 4;   // on a Redis that does not sync
constexpr const char* kFirstQuiet = "the first that decides nothing";

using Events = std::vector<TraceEvent>;

/// The servers and the coordinator, each under a tracer of its own.
class TracedStores {
 public:
  TracedStores() {
    Must(stores_.postgres().Restart(StraceCommand(TraceOf("postgres"), kCalls)));
    Must(stores_.redis().Restart(StraceCommand(TraceOf("redis"), kCalls)));
  }

  std::string TraceOf(const std::string& process) {
    // As root, PostgreSQL and its tracer run as a user who may write here only.
    const bool postgres = process == "postgres";
    return (postgres ? stores_.postgres().socket_folder() : stores_.folder()) + "/" + process +
           ".strace";
  }

  void StartServe(const std::string& trace) {
    serve_ = stores_.Serve({}, StraceCommand(TraceOf(trace), kCalls));
  }

  /// Kills the coordinator and loads its trace.
  Events EndServe(const std::string& trace) {
    // A client has its answer before the tracer has written down that it was sent.
    INDOUBT_CHECK(Eventually([&] { return EveryThreadSleeps(serve_->pid()); }, kLimit), trace);
    serve_->KillAndWait();
    return Load(trace);
  }

  Events Load(const std::string& trace) {
    INDOUBT_CHECK(Eventually([&] { return TraceHasEnded(TraceOf(trace)); }, kLimit), trace);
    auto events = LoadTraceEvents(TraceOf(trace));
    INDOUBT_CHECK(events.has_value(), events.error().ToString());
    return std::move(*events);
  }

  /// Runs orders, `at_once` at a time; adds the gids of what was committed.
  void Run(int64_t first, int count, int at_once, std::vector<Gid>& committed) {
    const auto client = ConnectExecutor(stores_.service_address());
    const auto answers = RunOrders(*client, first, at_once,
                                   [&](int64_t order) { return order < first + count; });
    for (const auto& [order, outcome] : answers) {
      EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
      if (const auto gid = Gid::Parse(outcome.gid)) committed.push_back(*gid);
    }
  }

  /// Transactions without a decision: aborts of each kind, readers, one participant alone.
  void RunWithoutDecisions() {
    const auto client = ConnectExecutor(stores_.service_address());
    using Work = std::vector<std::pair<const char*, std::string>>;
    const std::vector<std::pair<Work, Outcome>> transactions{
        // No at work, beside and after the others' work.
        {{{"stock", fmt::format("SET reserved:900 '{}'", kFirstQuiet)},
          {"ledger", "INSERT INTO entries VALUES (900, 7, 5)"},
          {"accounts", "INSERT INTO orders VALUES (900, NULL)"}},
         Outcome::kRolledBack},
        // No at PostgreSQL's prepare: a deferred constraint.
        {{{"accounts", "INSERT INTO late VALUES (1)"},
          {"accounts", "INSERT INTO late VALUES (1)"},
          {"stock", "SET reserved:901 1"},
          {"ledger", "INSERT INTO entries VALUES (901, 7, 5)"}},
         Outcome::kRolledBack},
        // No at Redis' prepare: the value is no number.
        {{{"accounts", "INSERT INTO orders VALUES (902, 7)"}, {"stock", "INCRBY words 1"}},
         Outcome::kRolledBack},
        // Readers only, at all and at one.
        {{{"accounts", "SELECT * FROM orders"},
          {"stock", "GET stock:42"},
          {"ledger", "SELECT * FROM entries"}},
         Outcome::kCommitted},
        {{{"ledger", "SELECT * FROM entries"}}, Outcome::kCommitted},
        // A writer alone: one-phase commit, no decision of the coordinator's.
        {{{"accounts", "INSERT INTO orders VALUES (903, 7)"}}, Outcome::kCommitted},
    };
    for (const auto& [work, expected] : transactions) {
      TransactionRequest request;
      for (const auto& [participant, text] : work) {
        request.statements.push_back({participant, {text, {}, {}}});
      }
      std::promise<TransactionOutcome> ended;
      client->Execute(std::move(request), [&ended](TransactionOutcome outcome) {
        ended.set_value(std::move(outcome));
      });
      const TransactionOutcome outcome = ended.get_future().get();
      EXPECT_EQ(outcome.outcome, expected) << work.back().second << ": " << outcome.reason;
    }
  }
  /// What the next coordinator needs to have nothing to do but what it is asked.
  void PrepareForRunWithoutDecisions() {
    const Ran recovered = stores_.Indoubt({"recover", "-c", stores_.config_path()});
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err;
    ASSERT_EQ(stores_.AskPostgres("CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY "
                                  "DEFERRED)"),
              "");
    ASSERT_EQ(stores_.AskRedis({"SET", "words", "none is a number"}), "OK");
  }
  std::string log_path() const { return stores_.log_path(); }
  void SetLastResource(bool last_resource) { stores_.SetLastResource(last_resource); }

  /// From now on Redis leaves syncing to the kernel, and is configured as relaxed.
  void RelaxRedis() {
    ASSERT_EQ(stores_.AskRedis({"CONFIG", "SET", "appendfsync", "no"}), "OK");
    std::string config = ReadText(stores_.config_path());
    const std::string kind = "kind = \"redis\"\n";
    config.insert(config.find(kind) + kind.size(), "durability = \"relaxed\"\n");
    std::ofstream(stores_.config_path()) << config;
  }

  void KillServers() {
    stores_.redis().Kill();
    stores_.postgres().Kill();
  }

 private:
  static void Must(const Status& status) { INDOUBT_CHECK(status.ok(), status.ToString()); }

  const std::string kCalls = fmt::format("{},{}", kFileCalls, kSocketCalls);
  Stores stores_;
  std::unique_ptr<Process> serve_;
};

/// What one traced run left behind, for all tests.
class SyncOrder : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    TracedStores stores;
    stores.StartServe("serve");
    stores.Run(1, kAlone, 1, strict_gids_);
    stores.Run(100, kTogether, kTogether, strict_gids_);
    serve_ = stores.EndServe("serve");
    stores.PrepareForRunWithoutDecisions();
    stores.StartServe("serve-quiet");
    stores.RunWithoutDecisions();
    quiet_serve_ = stores.EndServe("serve-quiet");
    log_path_ = stores.log_path();
    stores.SetLastResource(true);
    stores.StartServe("serve-last");
    stores.Run(300, kAlone, 1, last_gids_);
    stores.Run(400, kTogether, kTogether, last_gids_);
    last_serve_ = stores.EndServe("serve-last");
    stores.SetLastResource(false);
    stores.RelaxRedis();
    stores.StartServe("serve-relaxed");
    stores.Run(200, kRelaxed, 1, relaxed_gids_);
    relaxed_serve_ = stores.EndServe("serve-relaxed");
    stores.KillServers();
    redis_ = stores.Load("redis");
    postgres_ = stores.Load("postgres");
  }

  static std::vector<BranchId> Branches(const std::vector<Gid>& gids, const char* participant) {
    std::vector<BranchId> branches;
    branches.reserve(gids.size());
    for (const Gid& gid : gids) branches.push_back({gid, participant});
    return branches;
  }

  static std::vector<DecidedTransaction> Transactions(const std::vector<Gid>& gids) {
    std::vector<DecidedTransaction> transactions;
    transactions.reserve(gids.size());
    for (const Gid& gid : gids) {
      transactions.push_back({{gid, "accounts"}, {gid, "stock"}, {gid, "ledger"}});
    }
    return transactions;
  }

  static OrderReport Decisions(const Events& events, const std::vector<Gid>& gids) {
    return CheckDecisions(events, Transactions(gids));
  }

  static void ExpectAllHeld(const OrderReport& report, int expected) {
    for (const std::string& line : report.held) fmt::print("{}\n", line);
    for (const std::string& line : report.violations) ADD_FAILURE() << line;
    EXPECT_EQ(report.held.size(), static_cast<size_t>(expected));
  }

  static void ExpectAllFound(const OrderReport& report, int expected) {
    for (const std::string& line : report.held) ADD_FAILURE() << "not found: " << line;
    EXPECT_EQ(report.violations.size(), static_cast<size_t>(expected));
  }

  static inline std::vector<Gid> strict_gids_, relaxed_gids_, last_gids_;
  static inline Events serve_, quiet_serve_, relaxed_serve_, last_serve_, redis_, postgres_;
  static inline std::string log_path_;
};

TEST_F(SyncOrder, EveryYesAndEveryDecisionIsSyncedBeforeAnybodyIsTold) {
  constexpr int kAll = kAlone + kTogether;
  ExpectAllHeld(CheckPostgresVotes(postgres_, Branches(strict_gids_, "accounts")), kAll);
  ExpectAllHeld(CheckRedisVotes(redis_, Branches(strict_gids_, "stock")), kAll);
  ExpectAllHeld(CheckSqliteVotes(serve_, Branches(strict_gids_, "ledger")), kAll);
  ExpectAllHeld(Decisions(serve_, strict_gids_), kAll);
  if (HasFailure()) return;
  fmt::print("sync order: {} yes votes of each store, {} decisions, all synced before\n", kAll,
             kAll);
}

TEST_F(SyncOrder, LastResourceIsAskedAfterEveryYesAndHasCommittedBeforeAnybodyIsTold) {
  constexpr int kAll = kAlone + kTogether;
  ExpectAllHeld(CheckRedisVotes(redis_, Branches(last_gids_, "stock")), kAll);
  ExpectAllHeld(CheckSqliteVotes(last_serve_, Branches(last_gids_, "ledger")), kAll);
  ExpectAllHeld(CheckDecisionRows(postgres_, Branches(last_gids_, "accounts")), kAll);
  ExpectAllHeld(CheckLastResourceDecisions(last_serve_, Transactions(last_gids_)), kAll);
}

TEST_F(SyncOrder, RedisThatLeavesSyncingToTheKernelIsFound) {
  ExpectAllFound(CheckRedisVotes(redis_, Branches(relaxed_gids_, "stock")), kRelaxed);
  // Everybody else kept the order in the same run.
  ExpectAllHeld(CheckPostgresVotes(postgres_, Branches(relaxed_gids_, "accounts")), kRelaxed);
  ExpectAllHeld(CheckSqliteVotes(relaxed_serve_, Branches(relaxed_gids_, "ledger")), kRelaxed);
  ExpectAllHeld(Decisions(relaxed_serve_, relaxed_gids_), kRelaxed);
}

TEST_F(SyncOrder, AbortsReadersAndOnePhaseCommitsLeaveTheLogAlone) {
  ExpectAllHeld(CheckQuietLog(quiet_serve_, log_path_, kFirstQuiet), 1);
  // What decides is seen, and so is a request that never came.
  const OrderReport busy = CheckQuietLog(serve_, log_path_, "reserved:1 1");
  EXPECT_GE(busy.violations.size(), 2u * kAlone) << "at least a write and a sync for each";
  ExpectAllFound(CheckQuietLog(serve_, log_path_, kFirstQuiet), 1);
}

TEST_F(SyncOrder, NewSegmentAndItsFolderAreSyncedBeforeAnythingReliesOnThem) {
  ExpectAllHeld(CheckNewSegments(serve_, log_path_), 1);          // made and used
  ExpectAllHeld(CheckNewSegments(quiet_serve_, log_path_), 1);    // replaced another
  ExpectAllHeld(CheckNewSegments(relaxed_serve_, log_path_), 1);  // both
  for (const std::string& path : {log_path_ + "/segment.new", log_path_}) {
    Events spoilt = serve_;
    std::erase_if(spoilt, [&](const TraceEvent& event) {
      return event.kind == TraceEvent::Kind::kSync && event.path == path;
    });
    ExpectAllFound(CheckNewSegments(spoilt, log_path_), 1);
  }
}

/// The trace, had `path` never been synced, or had each sync begun before the write.
Events Spoilt(Events events, const std::string& path, bool too_early) {
  const auto hit = [&](const TraceEvent& event) {
    return event.kind == TraceEvent::Kind::kSync && event.path.find(path) != std::string::npos;
  };
  if (!too_early) std::erase_if(events, hit);
  for (TraceEvent& event : events) {
    if (hit(event)) event.began = 0;
  }
  return events;
}

TEST_F(SyncOrder, TraceWithoutTheSyncsOfAFileIsFound) {
  constexpr int kAll = kAlone + kTogether;
  for (const bool too_early : {false, true}) {
    ExpectAllFound(CheckPostgresVotes(Spoilt(postgres_, "/pg_wal/", too_early),
                                      Branches(strict_gids_, "accounts")),
                   kAll);
    ExpectAllFound(
        CheckRedisVotes(Spoilt(redis_, ".aof", too_early), Branches(strict_gids_, "stock")),
        kAll);
    ExpectAllFound(CheckSqliteVotes(Spoilt(serve_, "ledger.db-wal", too_early),
                                    Branches(strict_gids_, "ledger")),
                   kAll);
    ExpectAllFound(Decisions(Spoilt(serve_, "/decisions/", too_early), strict_gids_), kAll);
    ExpectAllFound(CheckSqliteVotes(Spoilt(last_serve_, "ledger.db-wal", too_early),
                                    Branches(last_gids_, "ledger")),
                   kAll);
    ExpectAllFound(CheckDecisionRows(Spoilt(postgres_, "/pg_wal/", too_early),
                                     Branches(last_gids_, "accounts")),
                   kAll);
  }
}

TEST_F(SyncOrder, TraceInWhichTheLastResourceAnswersLaterOrNotAtAllIsFound) {
  for (const bool later : {false, true}) {
    Events spoilt = last_serve_;
    std::erase_if(spoilt, [&](const TraceEvent& event) {
      return !later && event.kind == TraceEvent::Kind::kReceive;
    });
    for (TraceEvent& event : spoilt) {
      if (event.kind == TraceEvent::Kind::kReceive) event.ended += spoilt.back().ended;
    }
    ExpectAllFound(CheckLastResourceDecisions(spoilt, Transactions(last_gids_)),
                   kAlone + kTogether);
  }
}

}  // namespace
}  // namespace indoubt::testing
