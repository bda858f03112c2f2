#include "tests/cdc/kill_fixture.h"

#include <cstdlib>
#include <fstream>
#include <random>

#include <fmt/format.h>

#include "tests/cdc/sums_derivation.h"

namespace indoubt {
namespace {

constexpr int kAccounts = 8;

}  // namespace

SourceLoad::SourceLoad(std::string dsn, bool two_phase, uint64_t seed) : dsn_(std::move(dsn)) {
  for (int writer = 0; writer < 2; ++writer) {
    writers_.emplace_back([this, writer, two_phase, seed] { Write(writer, two_phase, seed); });
  }
}

SourceLoad::~SourceLoad() {
  stop_ = true;
  for (std::thread& writer : writers_) writer.join();
}

void SourceLoad::Write(int writer, bool two_phase, uint64_t seed) {
  SourceClient client(dsn_);
  std::mt19937_64 random(seed + static_cast<uint64_t>(writer));
  std::string prepared;  // its gid, while there is one; its accounts are its writer's own
  while (!stop_) {
    const auto account = static_cast<int64_t>(writer + 2 * (random() % (kAccounts / 2)));
    const auto amount = static_cast<int64_t>(random() % 1000) - 500;
    if (!prepared.empty()) {
      client.Run((random() % 3 ? "COMMIT PREPARED '" : "ROLLBACK PREPARED '") + prepared + "'");
      prepared.clear();
      ++ended_;
    }
    client.Run("BEGIN");
    client.Run(
        fmt::format("INSERT INTO moves(item, amount) VALUES ('a{}', {})", account, amount));
    if (random() % 16 == 0) {
      client.Run(
          fmt::format("DELETE FROM account WHERE id = {0}; INSERT INTO account SELECT "
                      "{0}, sum(amount) FROM moves WHERE item = 'a{0}'",
                      account));
    } else {
      client.Run(fmt::format("UPDATE account SET balance = balance + {} WHERE id = {}", amount,
                             account));
    }
    if (two_phase && random() % 4 == 0) {
      prepared = fmt::format("load-{}-{}", writer, random());
      client.Run("PREPARE TRANSACTION '" + prepared + "'");
      continue;
    }
    client.Run(random() % 8 == 0 ? "ROLLBACK" : "COMMIT");
    ++ended_;
  }
  if (!prepared.empty()) client.Run("COMMIT PREPARED '" + prepared + "'");
}

void CdcKillFixture::SetUp() {
  CdcFixture::SetUp();
  if (HasFatalFailure()) return;  // no server
  Client().Run(
      fmt::format("CREATE TABLE account(id bigint PRIMARY KEY, balance bigint NOT NULL);"
                  "INSERT INTO account SELECT n, 0 FROM generate_series(0, {}) n",
                  kAccounts - 1));
}

CdcOptions CdcKillFixture::AllOptions() const {
  CdcOptions options = Options();
  options.tables.emplace_back("account");
  for (ViewOptions& view : RowsViews(redis_->uri(), rows_path_)) {
    options.views.push_back(std::move(view));
  }
  return options;
}

std::unique_ptr<Process> CdcKillFixture::StartChild(const std::string& fail_points,
                                                    const std::vector<std::string>& wrapper) {
  const CdcOptions options = Options();
  ProcessSpec spec;
  spec.argv = wrapper;
  for (const std::string& argument :
       {std::string(CDC_WORKER_CHILD), options.source_dsn, options.event_log_path,
        redis_->uri(), sqlite_path_, rows_path_}) {
    spec.argv.push_back(argument);
  }
  spec.environment = {{"INDOUBT_FAILPOINT", fail_points},
                      {"CDC_ON_SLOT_LOSS", on_slot_loss_},
                      {"CDC_POISON", poison_},
                      {"CDC_RETENTION", retention_},
                      {"CDC_LAST_VIEW", last_view_}};
  spec.output_path = folder_.path() + "/children.txt";
  auto child = Process::Start(spec);
  EXPECT_TRUE(child) << child.error().ToString();
  return child ? std::move(*child) : nullptr;
}

std::string CdcKillFixture::ChildOutput() const {
  std::ifstream file(folder_.path() + "/children.txt");
  return {std::istreambuf_iterator<char>(file), {}};
}

void CdcKillFixture::ExpectEverythingEqualsSource() {
  const Status reached =
      WaitForViews(AllOptions(), SystemClock().Now() + std::chrono::minutes(5));
  ASSERT_TRUE(reached.ok()) << reached.ToString();
  ExpectSumsEqualSource();
  const std::string socket = redis_->socket_path();
  const Sums moves = Client().Query("SELECT id, amount FROM moves");
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, amount FROM moves"), moves);
  const std::string search_path = SearchPath(rows_path_);
  EXPECT_EQ(SqliteRows(search_path, "SELECT id, amount FROM moves"), moves);
  // By the index alone, which holds no row twice and none that is gone.
  EXPECT_EQ(SqliteRows(search_path,
                       "SELECT word, (SELECT count(*) FROM moves_search WHERE moves_search "
                       "MATCH '\"' || word || '\"') FROM (SELECT DISTINCT item AS word FROM "
                       "moves)"),
            Client().Query("SELECT item, count(*) FROM moves GROUP BY item"));
  EXPECT_EQ(RedisFields(socket, "moves:", "amount"), moves);
  const Sums accounts = Client().Query("SELECT id, balance FROM account");
  EXPECT_GE(accounts.size(), static_cast<size_t>(kAccounts));
  EXPECT_EQ(SqliteRows(rows_path_, "SELECT id, balance FROM account"), accounts);
  EXPECT_EQ(SqliteRows(search_path, "SELECT id, balance FROM account"), accounts);
  EXPECT_EQ(RedisFields(socket, "account:", "balance"), accounts);
}

uint64_t SeedOfThisRun() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("INDOUBT_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  }();
  return seed;
}

}  // namespace indoubt
