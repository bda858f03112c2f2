// Random kills of the coordinator, of servers and of connections, at every phase of every
// participant, under load over three real stores; then what must hold when the world is
// healed and quiet. Once with PostgreSQL as a participant like the others, once as a logged
// last resource.
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include "coordinator/service.h"
#include "faults/proxy.h"
#include "participants/redis/redis_keys.h"
#include "participants/sqlite/sqlite_schema.h"
#include "tests/support/eventually.h"
#include "tests/support/order_load.h"
#include "tests/support/read_text.h"
#include "tests/support/stores.h"

namespace indoubt::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(60);
constexpr auto kAskLimit = std::chrono::seconds(5);  // an order's time, and more
constexpr int kAtOnce = 6;
constexpr int kBlock = 25;  // kills between two checks of everything
// Accounts and items that orders meet on by chance; each begins with kEach.
constexpr int kRows = 64;
constexpr int64_t kEach = 1'000'000;

enum class Victim { kCoordinator, kServer, kConnection };
constexpr std::array kVictims{"coordinator", "server", "connection"};
constexpr std::array kParticipants{"accounts", "stock", "ledger"};

/// Where a kill may strike: what one participant passes in the life of a transaction. The
/// first is struck at the request (the coordinator on either side of it), the second at the
/// reply, the others at both.
struct Phase {
  const char* name;
  const char* message;  // the text in a request that begins it
  const char* before;   // the coordinator's fail points at the request and at the reply
  const char* after;
};
using Phases = std::array<Phase, 4>;

constexpr Phases Prepared(const char* prepare, const char* commit, const char* rollback) {
  return {{{"prepare", prepare, "before_prepare", "worked"},
           {"vote", prepare, "after_prepare", "after_prepare"},
           {"commit", commit, "before_commit", "after_commit"},
           {"rollback", rollback, "before_rollback", "after_rollback"}}};
}
constexpr Phases kPostgres =
    Prepared("PREPARE TRANSACTION", "COMMIT PREPARED", "ROLLBACK PREPARED");
constexpr Phases kRedis = Prepared("indoubt_prepare", "indoubt_commit", "indoubt_rollback");
constexpr Phases kSqlite = Prepared("", "", "");  // no server: nobody sends anything

/// The statements, the decision row and the commit are one script. Who gets no answer asks
/// which decision stands; the rows of what has ended are forgotten.
constexpr const char* kDecide = "INSERT INTO orders";
constexpr size_t kAsk = 2;
constexpr Phases kLastResource{
    {{"decide", kDecide, "last_resource_before", "worked"},
     {"answer", kDecide, "last_resource_after", "last_resource_after"},
     {"ask", "ON CONFLICT (gid) DO NOTHING", "last_resource_asked", "last_resource_asked"},
     {"forget", "DELETE FROM indoubt.decisions", "acknowledged", "ended"}}};

struct Kill {
  Victim victim;
  size_t participant, phase;
  uint64_t hit;  // the how-manieth such message or point
  bool reply;    // at the reply, or after the point; else at the request, or before it
};

/// Every third order is one that the ledger refuses, or, by turns, accounts.
TransactionRequest Order(int64_t order) {
  TransactionRequest request;
  const auto add = [&](const char* participant, std::string text,
                       std::optional<int64_t> rows = {}) {
    request.statements.push_back({participant, {std::move(text), {}, rows}});
  };
  add("accounts", fmt::format("UPDATE account SET balance = balance - 5 WHERE id = {}",
                              1000 + order * 7 % kRows));
  add("accounts", fmt::format("INSERT INTO orders VALUES ({}, 7)", order));
  add("stock", fmt::format("INCRBY item:{} -1", order * 11 % kRows));
  add("stock", fmt::format("SET reserved:{} 1", order));
  add("ledger", fmt::format("INSERT INTO entries VALUES ({}, 7, 5)", order));
  if (order % 6 == 0) add("ledger", "UPDATE entries SET amount = 0 WHERE order_id = -1", 1);
  if (order % 6 == 3) add("accounts", "UPDATE orders SET account = 0 WHERE id = -1", 1);
  request.timeout = std::chrono::seconds(1);
  return request;
}

class RandomKills : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    constexpr const char* kSocket = ".s.PGSQL.5432";
    const std::string folder = stores_.folder() + "/proxied";
    std::filesystem::create_directory(folder);
    Insert(0, folder + "/" + kSocket, stores_.postgres().socket_folder() + "/" + kSocket);
    Insert(1, folder + "/redis.sock", stores_.redis().socket_path());
    stores_.SetLastResource(LastResource());
    std::string config = ReadText(stores_.config_path());
    const auto replace = [&config](const std::string& what, const std::string& with) {
      const size_t at = config.find(what);
      ASSERT_NE(at, std::string::npos) << what;
      config.replace(at, what.size(), with);
    };
    replace("host=" + stores_.postgres().socket_folder(), "host=" + folder);
    replace(stores_.redis().socket_path(), folder + "/redis.sock");
    std::ofstream(stores_.config_path()) << config;
    EXPECT_EQ(stores_.AskPostgres(fmt::format(
                  "INSERT INTO account SELECT 1000 + n, {} FROM generate_series(0, {}) n",
                  kEach, kRows - 1)),
              "");
    for (int i = 0; i < kRows; ++i) {
      EXPECT_EQ(stores_.AskRedis({"SET", fmt::format("item:{}", i), std::to_string(kEach)}),
                "OK");
    }
  }
  void Insert(size_t participant, const std::string& listen, const std::string& server) {
    auto proxy = Proxy::Start({.listen = "unix:" + listen, .server = "unix:" + server});
    ASSERT_TRUE(proxy) << proxy.error().ToString();
    proxies_[participant] = std::move(*proxy);
  }

  static bool LastResource() { return GetParam(); }
  static const Phase& PhaseOf(const Kill& kill) {
    const std::array all{LastResource() ? &kLastResource : &kPostgres, &kRedis, &kSqlite};
    return (*all[kill.participant])[kill.phase];
  }
  /// Nobody asks a last resource whose answer has come.
  static bool IsAsk(const Kill& kill) {
    return LastResource() && kill.participant == 0 && kill.phase == kAsk;
  }

  static std::string FailPointOf(const Kill& kill) {
    const Phase& phase = PhaseOf(kill);
    const char* participant = kParticipants[kill.participant];
    if (!IsAsk(kill)) {
      return fmt::format("{}@{}:{}=kill", kill.reply ? phase.after : phase.before, participant,
                         kill.hit);
    }
    // Several answers are lost: some of them may have been refusals, which need no question.
    std::string points;
    for (uint64_t hit = kill.hit; hit < kill.hit + 4; ++hit) {
      points += fmt::format("last_resource_after@{}:{}=error;", participant, hit);
    }
    return points + fmt::format("{}=kill", phase.before);
  }

  Kill RandomKill() {
    Kill kill{};
    kill.participant = random_() % kParticipants.size();
    kill.phase = random_() % kLastResource.size();
    // SQLite has neither a server nor connections: its files belong to the coordinator.
    const uint64_t of = random_() % 10;
    kill.victim = kill.participant == 2 || of < 4 ? Victim::kCoordinator
                  : of < 7                        ? Victim::kServer
                                                  : Victim::kConnection;
    kill.hit = 1 + random_() % 12;
    kill.reply = kill.phase == 1 || (kill.phase != 0 && random_() % 2 == 0) ||
                 (kill.phase == 0 && kill.victim == Victim::kCoordinator && random_() % 2 == 0);
    return kill;
  }

  void Note(std::map<int64_t, TransactionOutcome> answers) {
    for (const auto& [order, outcome] : answers) {
      if (outcome.outcome == Outcome::kCommitted) committed_.insert(order);
      if (outcome.outcome == Outcome::kRolledBack) rolled_back_.insert(order);
      next_order_ = std::max(next_order_, order + 1);
    }
  }

  int64_t InDoubt() {
    const auto number = [](const std::string& text) { return std::atoll(text.c_str()); };
    return number(stores_.AskPostgres("SELECT count(*) FROM pg_prepared_xacts")) +
           number(stores_.AskRedis({"HLEN", std::string(kRedisPreparedKey)})) +
           number(
               stores_.AskSqlite(fmt::format("SELECT count(*) FROM {}", kSqliteBranchTable)));
  }

  void Count(const Kill& kill) {
    ++hits_[kill.participant][kill.phase];
    ++victims_[static_cast<size_t>(kill.victim)];
  }

  void KillCoordinator(const Kill& kill) {
    const std::string point = FailPointOf(kill);
    SCOPED_TRACE(point);
    const auto serve = stores_.Serve({{"INDOUBT_FAILPOINT", point}});
    const auto client = ConnectExecutor(stores_.service_address());
    const int64_t enough = next_order_ + 2000;
    Note(RunOrders(
        *client, next_order_, kAtOnce,
        [&](int64_t order) { return order < enough && serve->Running(); }, Order));
    const auto end = serve->Wait(SystemClock().Now() + std::chrono::seconds(5));
    ASSERT_TRUE(end && end->by_signal && end->code == SIGKILL)
        << "not reached: " << ReadText(stores_.folder() + "/serve.log");
    Count(kill);
    if (InDoubt() > 0) ++left_in_doubt_;
  }

  /// In a script that ends with a COMMIT: one of an order that accounts refuses does not.
  static std::string SentCommit() { return {"\0COMMIT\0", 8}; }
  /// Questions are rare, and many rows are forgotten by one message.
  static uint64_t HitOf(const Kill& kill) {
    const bool rare = LastResource() && kill.participant == 0 && kill.phase >= kAsk;
    return rare ? 1 : kill.hit;
  }

  void RestartServer(size_t participant) {
    const Status restarted =
        participant == 0 ? stores_.postgres().Restart() : stores_.redis().Restart();
    ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  }

  /// Whether it came to that. Who holds an answer back until the coordinator's patience
  /// ends is asked; but that may be at once, before the question can be struck.
  bool Strike(const Kill& kill, const ProxyTrigger& trigger) {
    Proxy& proxy = *proxies_[kill.participant];
    const auto await = [&](Duration limit) {
      return proxy.AwaitStrike(SystemClock().Now() + limit).has_value();
    };
    if (!IsAsk(kill)) {
      proxy.Arm(trigger);
      return await(kLimit);
    }
    for (int tries = 0; tries < 10; ++tries) {
      proxy.Arm({.action = ProxyAction::kHold, .turn = kill.hit, .containing = SentCommit()});
      if (!await(kLimit)) return false;
      proxy.Arm(trigger);
      if (await(kAskLimit)) return true;
      proxy.Heal();
    }
    return false;
  }

  /// A server or a connection, while the coordinator lives and the load goes on.
  void KillUnderneath(const Kill& kill) {
    SCOPED_TRACE(fmt::format("{} of {} at {} {} of {}",
                             kVictims[static_cast<size_t>(kill.victim)],
                             kParticipants[kill.participant], kill.reply ? "reply" : "request",
                             kill.hit, PhaseOf(kill).message));
    Proxy& proxy = *proxies_[kill.participant];
    const bool server = kill.victim == Victim::kServer;
    const bool struck =
        Strike(kill, {.direction = kill.reply ? Direction::kToClient : Direction::kToServer,
                      .action = server ? ProxyAction::kHold : ProxyAction::kCut,
                      .turn = HitOf(kill),
                      .containing = PhaseOf(kill).message,
                      .after_bytes = server ? 0 : random_() % 2});
    server_is_down_ = server && struck;
    if (server && struck && kill.participant == 0) stores_.postgres().Kill();
    if (server && struck && kill.participant == 1) stores_.redis().Kill();
    proxy.Heal();
    ASSERT_TRUE(struck) << "not reached";
    if (server) RestartServer(kill.participant);
    server_is_down_ = false;
    Count(kill);
  }

  /// All kills of servers and connections of a block, under one coordinator.
  void RunBlock(const std::vector<Kill>& kills) {
    const auto serve = stores_.Serve();
    const auto client = ConnectExecutor(stores_.service_address());
    std::atomic<bool> stop{false};
    auto answers = std::async(std::launch::async, [&] {
      return RunOrders(
          *client, next_order_, kAtOnce,
          [&](int64_t) {
            // Refusals are quick: not a million of them.
            if (server_is_down_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return !stop;
          },
          Order);
    });
    for (const Kill& kill : kills) {
      KillUnderneath(kill);
      if (HasFailure()) break;
    }
    stop = true;
    Note(answers.get());
    EXPECT_TRUE(serve->Running()) << ReadText(stores_.folder() + "/serve.log");
    serve->Signal(SIGTERM);
    EXPECT_TRUE(serve->Wait(SystemClock().Now() + kLimit)) << "it does not drain";
  }

  /// PostgreSQL goes on for a while with what a dead coordinator sent, and may prepare it.
  void AwaitQuiet() {
    const bool quiet = Eventually([&] {
      return stores_.AskPostgres(
                 "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client "
                 "backend' AND pid <> pg_backend_pid()") == "0";
    });
    EXPECT_TRUE(quiet) << "a backend without a client goes on";
  }

  /// Atomicity, conservation, acknowledgements, leftovers, writability, one decision a gid,
  /// a second recovery.
  void CheckEverything() {
    AwaitQuiet();
    if (LastResource()) {  // the gid is the table's primary key: one decision each
      decisions_seen_ += static_cast<size_t>(stores_.DecisionRows("commit"));
    }
    const std::vector<std::string> recover{"recover", "-c", stores_.config_path(), "--json"};
    const Ran recovered = stores_.Indoubt(recover);
    ASSERT_TRUE(recovered.Exited(0)) << recovered.err << recovered.out;
    const auto orders = stores_.AllOrders();
    EXPECT_TRUE(orders[0] == orders[1] && orders[1] == orders[2])
        << orders[0].size() << ", " << orders[1].size() << " and " << orders[2].size();
    for (const int64_t order : committed_) EXPECT_TRUE(orders[0].contains(order)) << order;
    for (const int64_t order : rolled_back_) EXPECT_FALSE(orders[0].contains(order)) << order;
    const auto count = static_cast<int64_t>(orders[0].size());
    EXPECT_EQ(stores_.AskPostgres("SELECT sum(balance) FROM account WHERE id >= 1000"),
              std::to_string(kRows * kEach - 5 * count));
    EXPECT_EQ(stores_.AskRedis({"EVAL",
                                "local sum = 0 for i = 0, ARGV[1] - 1 do sum = sum + "
                                "redis.call('GET', 'item:' .. i) end return sum",
                                "0", std::to_string(kRows)}),
              std::to_string(kRows * kEach - count));
    EXPECT_EQ(stores_.Leftovers(), "");
    EXPECT_EQ(stores_.Unwritable(1), "");
    CheckDecisions();
    const Ran again = stores_.Indoubt(recover);
    EXPECT_TRUE(again.Exited(0)) << again.err;
    EXPECT_NE(again.out.find(R"("committed":0,"rolled_back":0)"), std::string::npos)
        << again.out;
  }

  void CheckDecisions() {
    const Ran inspected = stores_.Indoubt({"log", "inspect", stores_.log_path(), "--json"});
    ASSERT_TRUE(inspected.Exited(0)) << inspected.err;
    std::map<std::string, int> decisions;
    std::istringstream lines(inspected.out);
    for (std::string line; std::getline(lines, line);) {
      const auto record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (record.value("kind", "") == "commit") ++decisions[record.value("gid", "")];
    }
    for (const auto& [gid, count] : decisions) {
      EXPECT_EQ(count, LastResource() ? 0 : 1) << gid;
    }
    decisions_seen_ += decisions.size();
  }

  const uint64_t seed_ = SeedOfThisRun();
  std::mt19937_64 random_{seed_};
  Stores stores_;
  std::array<std::unique_ptr<Proxy>, 2> proxies_;
  std::set<int64_t> committed_, rolled_back_;
  int64_t next_order_ = 1;
  std::array<std::array<int, kLastResource.size()>, kParticipants.size()> hits_{};
  std::array<int, kVictims.size()> victims_{};
  int left_in_doubt_ = 0;
  std::atomic<bool> server_is_down_{false};
  size_t decisions_seen_ = 0;

 private:
  /// INDOUBT_SEED repeats a run as far as the machine's timing lets it.
  static uint64_t SeedOfThisRun() {
    const char* given = std::getenv("INDOUBT_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  }
};

TEST_P(RandomKills, UnderLoadEverythingHoldsAfterwards) {
  const bool whole = std::getenv("INDOUBT_LONG") != nullptr;
  const int kills = whole ? 1000 : 50;
  fmt::print("seed {}\n", seed_);
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (int done = 0; done < kills && !HasFailure(); done += kBlock) {
    std::vector<Kill> underneath, coordinators;
    for (int i = 0; i < kBlock; ++i) {
      const Kill kill = RandomKill();
      (kill.victim == Victim::kCoordinator ? coordinators : underneath).push_back(kill);
    }
    RunBlock(underneath);
    for (const Kill& kill : coordinators) {
      if (!HasFailure()) KillCoordinator(kill);
    }
    if (!HasFailure()) CheckEverything();
    if (whole && (done / kBlock) % 4 == 3) {
      fmt::print("random kills: {} so far\n", done + kBlock);
      std::fflush(stdout);
    }
  }
  fmt::print(
      "random kills: {} of the coordinator, {} of a server, {} of a connection; {} left "
      "a branch in doubt; {} commits and {} roll backs acknowledged\n",
      victims_[0], victims_[1], victims_[2], left_in_doubt_, committed_.size(),
      rolled_back_.size());
  for (size_t participant = 0; participant < kParticipants.size(); ++participant) {
    for (size_t phase = 0; phase < kLastResource.size(); ++phase) {
      fmt::print("random kills: {} at {}: {}\n", kParticipants[participant],
                 PhaseOf({.participant = participant, .phase = phase}).name,
                 hits_[participant][phase]);
      if (whole) {
        EXPECT_GE(hits_[participant][phase], 20);
      }
    }
  }
  EXPECT_GE(left_in_doubt_, whole ? 200 : 5);
  EXPECT_FALSE(committed_.empty());
  EXPECT_GT(decisions_seen_, 0u);
}

INSTANTIATE_TEST_SUITE_P(Accounts, RandomKills, ::testing::Values(false, true),
                         [](const auto& parameter) {
                           return parameter.param ? "AsLastResource" : "Prepared";
                         });

}  // namespace
}  // namespace indoubt::testing
