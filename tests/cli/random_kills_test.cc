// Random kills of the coordinator, of servers and of connections, at every phase of every
// participant, under load over three real stores; then what must hold when the world is
// healed and quiet.
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
constexpr int kAtOnce = 6;
constexpr int kBlock = 25;  // kills between two checks of everything
// Accounts and items that orders meet on by chance; each begins with kEach.
constexpr int kRows = 64;
constexpr int64_t kEach = 1'000'000;

enum class Victim { kCoordinator, kServer, kConnection };
constexpr std::array kVictims{"coordinator", "server", "connection"};
constexpr std::array kParticipants{"accounts", "stock", "ledger"};
constexpr std::array kPhases{"prepare", "vote", "commit", "rollback"};

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

/// The text in a request that begins the phase at that participant.
std::string MessageOf(const Kill& kill) {
  const bool postgres = kill.participant == 0;
  if (kill.phase <= 1) return postgres ? "PREPARE TRANSACTION" : "indoubt_prepare";
  if (kill.phase == 2) return postgres ? "COMMIT PREPARED" : "indoubt_commit";
  return postgres ? "ROLLBACK PREPARED" : "indoubt_rollback";
}

std::string FailPointOf(const Kill& kill) {
  constexpr std::array kBefore{"before_prepare", "after_prepare", "before_commit",
                               "before_rollback"};
  constexpr std::array kAfter{"worked", "after_prepare", "after_commit", "after_rollback"};
  return fmt::format("{}@{}:{}=kill", kill.reply ? kAfter[kill.phase] : kBefore[kill.phase],
                     kParticipants[kill.participant], kill.hit);
}

class RandomKills : public ::testing::Test {
 protected:
  void SetUp() override {
    constexpr const char* kSocket = ".s.PGSQL.5432";
    const std::string folder = stores_.folder() + "/proxied";
    std::filesystem::create_directory(folder);
    Insert(0, folder + "/" + kSocket, stores_.postgres().socket_folder() + "/" + kSocket);
    Insert(1, folder + "/redis.sock", stores_.redis().socket_path());
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

  Kill RandomKill() {
    Kill kill{};
    kill.participant = random_() % kParticipants.size();
    kill.phase = random_() % kPhases.size();
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

  void RestartServer(size_t participant) {
    const Status restarted =
        participant == 0 ? stores_.postgres().Restart() : stores_.redis().Restart();
    ASSERT_TRUE(restarted.ok()) << restarted.ToString();
  }

  /// A server or a connection, while the coordinator lives and the load goes on.
  void KillUnderneath(const Kill& kill) {
    SCOPED_TRACE(fmt::format("{} of {} at {} {} of {}",
                             kVictims[static_cast<size_t>(kill.victim)],
                             kParticipants[kill.participant], kill.reply ? "reply" : "request",
                             kill.hit, MessageOf(kill)));
    Proxy& proxy = *proxies_[kill.participant];
    const bool server = kill.victim == Victim::kServer;
    proxy.Arm({.direction = kill.reply ? Direction::kToClient : Direction::kToServer,
               .action = server ? ProxyAction::kHold : ProxyAction::kCut,
               .turn = kill.hit,
               .containing = MessageOf(kill),
               .after_bytes = server ? 0 : random_() % 2});
    const bool struck = proxy.AwaitStrike(SystemClock().Now() + kLimit).has_value();
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
    for (const auto& [gid, count] : decisions) EXPECT_EQ(count, 1) << gid;
    decisions_seen_ += decisions.size();
  }

  const uint64_t seed_ = SeedOfThisRun();
  std::mt19937_64 random_{seed_};
  Stores stores_;
  std::array<std::unique_ptr<Proxy>, 2> proxies_;
  std::set<int64_t> committed_, rolled_back_;
  int64_t next_order_ = 1;
  std::array<std::array<int, kPhases.size()>, kParticipants.size()> hits_{};
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

TEST_F(RandomKills, UnderLoadEverythingHoldsAfterwards) {
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
    for (size_t phase = 0; phase < kPhases.size(); ++phase) {
      fmt::print("random kills: {} at {}: {}\n", kParticipants[participant], kPhases[phase],
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

}  // namespace
}  // namespace indoubt::testing
