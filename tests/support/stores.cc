#include "tests/support/stores.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include "base/check.h"
#include "participants/redis/redis_keys.h"
#include "participants/sqlite/sqlite_schema.h"
#include "tests/support/eventually.h"
#include "tests/support/read_text.h"

namespace indoubt::testing {
namespace {

constexpr auto kRunLimit = std::chrono::seconds(60);
constexpr int64_t kBalance = 1'000'000;
constexpr int64_t kStock = 1'000'000;

std::string Binary() {
  const char* binary = std::getenv("INDOUBT_BINARY");
  INDOUBT_CHECK(binary != nullptr, "INDOUBT_BINARY names the binary under test; run ctest");
  return binary;
}

/// The numbers in `text`; what stands between them does not matter.
std::set<int64_t> NumbersIn(std::string text) {
  for (char& c : text) {
    if (c < '0' || c > '9') c = ' ';
  }
  std::istringstream words(text);
  return {std::istream_iterator<int64_t>(words), std::istream_iterator<int64_t>()};
}

template <typename Server>
std::unique_ptr<Server> MustStart(const std::string& folder) {
  auto server = Server::Start(folder);
  INDOUBT_CHECK(server.has_value(), server.error().ToString());
  return std::move(*server);
}

}  // namespace

Stores::Stores()
    : folder_("indoubt-stores"),
      postgres_(MustStart<PostgresServer>(folder_.path())),
      redis_(MustStart<RedisServer>(folder_.path())) {
  if (std::getenv("INDOUBT_KEEP") != nullptr) folder_.Keep();
  MakeTables();
  WriteConfig();
}

Stores::~Stores() = default;

void Stores::MakeTables() {
  AskPostgres(
      "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= "
      "0));"
      "CREATE TABLE orders (id bigint PRIMARY KEY, account bigint NOT NULL)");
  AskPostgres(fmt::format("INSERT INTO account VALUES (7, {})", kBalance));
  AskRedis({"SET", "stock:42", std::to_string(kStock)});
  AskSqlite(
      "PRAGMA journal_mode=WAL;"
      "CREATE TABLE entries (order_id INTEGER PRIMARY KEY, account INTEGER NOT NULL,"
      " amount INTEGER NOT NULL)");
}

void Stores::WriteConfig() {
  std::ofstream(config_path()) << fmt::format(
      "[coordinator]\nnode = \"shop-1\"\nlisten = \"unix:{0}/serve.sock\"\n"
      "[participants.accounts]\nkind = \"postgres\"\ndsn = \"{1}\"\n"
      "[participants.stock]\nkind = \"redis\"\nuri = \"{2}\"\n"
      "[participants.ledger]\nkind = \"sqlite\"\npath = \"ledger.db\"\n"
      "tables = [\"entries\"]\n",
      folder(), postgres_->dsn(), redis_->uri());
}

void Stores::SetLastResource(bool last_resource) {
  WriteConfig();
  if (!last_resource) return;
  std::string config = ReadText(config_path());
  const std::string kind = "kind = \"postgres\"\n";
  config.insert(config.find(kind) + kind.size(), "last_resource = true\n");
  std::ofstream(config_path()) << config;
}

int64_t Stores::DecisionRows(const std::string& decision) {
  return std::atoll(AskPostgres(fmt::format("SELECT count(*) FROM indoubt.decisions "
                                            "WHERE decision = '{}'",
                                            decision))
                        .c_str());
}

Ran Stores::Indoubt(std::vector<std::string> arguments,
                    std::map<std::string, std::string> environment,
                    std::vector<std::string> wrapper) {
  ProcessSpec spec;
  spec.argv = std::move(wrapper);
  spec.argv.push_back(Binary());
  spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
  spec.environment = std::move(environment);
  spec.output_path = folder() + "/run.err";
  spec.stdout_path = folder() + "/run.out";
  std::remove(spec.output_path.c_str());
  std::remove(spec.stdout_path.c_str());
  auto process = Process::Start(spec);
  INDOUBT_CHECK(process.has_value(), process.error().ToString());
  Ran ran;
  ran.end = (*process)->Wait(SystemClock().Now() + kRunLimit);
  (*process)->KillAndWait();
  ran.out = ReadText(spec.stdout_path);
  ran.err = ReadText(spec.output_path);
  return ran;
}

std::unique_ptr<Process> StartServing(const std::string& config_path,
                                      const std::string& output_path,
                                      std::map<std::string, std::string> environment,
                                      std::vector<std::string> wrapper) {
  ProcessSpec spec;
  spec.argv = std::move(wrapper);
  for (const std::string& word :
       {Binary(), std::string("serve"), std::string("-c"), config_path}) {
    spec.argv.push_back(word);
  }
  spec.environment = std::move(environment);
  spec.output_path = output_path;
  std::remove(spec.output_path.c_str());
  auto process = Process::Start(spec);
  INDOUBT_CHECK(process.has_value(), process.error().ToString());
  // The socket is there before it listens; the line that says so comes after.
  const bool serves_or_died = Eventually(
      [&] {
        return !(*process)->Running() ||
               ReadText(output_path).find("serving on") != std::string::npos;
      },
      kRunLimit);
  INDOUBT_CHECK(serves_or_died, "serve does not start");
  return std::move(*process);
}

std::unique_ptr<Process> Stores::Serve(std::map<std::string, std::string> environment,
                                       std::vector<std::string> wrapper) {
  return StartServing(config_path(), folder() + "/serve.log", std::move(environment),
                      std::move(wrapper));
}

std::vector<std::string> Stores::OrderArguments(int64_t order) const {
  return {"exec",
          "-c",
          config_path(),
          "--json",
          "--on",
          "accounts",
          "UPDATE account SET balance = balance - 5 WHERE id = 7",
          "--on",
          "accounts",
          fmt::format("INSERT INTO orders VALUES ({}, 7)", order),
          "--on",
          "stock",
          "INCRBY stock:42 -1",
          "--on",
          "stock",
          fmt::format("SET reserved:{} 1", order),
          "--on",
          "ledger",
          fmt::format("INSERT INTO entries VALUES ({}, 7, 5)", order)};
}

std::string Stores::AskPostgres(const std::string& sql) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(
      PQconnectdb(postgres_->dsn().c_str()), PQfinish);
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
      PQexec(connection.get(), sql.c_str()), PQclear);
  if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) return "";
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
    return fmt::format("error: {}", PQerrorMessage(connection.get()));
  }
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

std::string Stores::AskRedis(const std::vector<std::string>& command) {
  const std::unique_ptr<redisContext, void (*)(redisContext*)> context(
      redisConnectUnix(redis_->socket_path().c_str()), redisFree);
  std::vector<const char*> argv;
  std::vector<size_t> lengths;
  for (const std::string& word : command) {
    argv.push_back(word.data());
    lengths.push_back(word.size());
  }
  const std::unique_ptr<void, void (*)(void*)> raw(
      redisCommandArgv(context.get(), static_cast<int>(argv.size()), argv.data(),
                       lengths.data()),
      freeReplyObject);
  const auto* reply = static_cast<redisReply*>(raw.get());
  if (reply == nullptr) return fmt::format("error: {}", context->errstr);
  if (reply->type == REDIS_REPLY_INTEGER) return std::to_string(reply->integer);
  if (reply->type == REDIS_REPLY_ARRAY) {
    std::string lines;
    for (size_t i = 0; i < reply->elements; ++i) {
      lines += std::string(reply->element[i]->str, reply->element[i]->len) + "\n";
    }
    return lines;
  }
  return reply->str == nullptr ? "" : std::string(reply->str, reply->len);
}

std::string Stores::AskSqlite(const std::string& sql) { return AskSqlite(sql, sqlite_path()); }

std::string Stores::AskSqlite(const std::string& sql, const std::string& path) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open(path.c_str(), &raw);
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> database(raw, sqlite3_close);
  INDOUBT_CHECK(opened == SQLITE_OK, "cannot open " + path);
  std::string first;
  char* error = nullptr;
  const auto row = [](void* to, int columns, char** values, char**) {
    auto& text = *static_cast<std::string*>(to);
    if (text.empty() && columns > 0 && values[0] != nullptr) text = values[0];
    return 0;
  };
  if (sqlite3_exec(raw, sql.c_str(), row, &first, &error) != SQLITE_OK) {
    first = fmt::format("error: {}", error);
    sqlite3_free(error);
  }
  return first;
}

std::string Stores::OrderIn(int64_t order) {
  return AskPostgres(fmt::format("SELECT count(*) FROM orders WHERE id = {}", order)) +
         AskRedis({"EXISTS", fmt::format("reserved:{}", order)}) +
         AskSqlite(fmt::format("SELECT count(*) FROM entries WHERE order_id = {}", order));
}

std::array<std::set<int64_t>, 3> Stores::AllOrders() {
  return {NumbersIn(AskPostgres("SELECT string_agg(id::text, ' ') FROM orders")),
          NumbersIn(AskRedis({"KEYS", "reserved:*"})),
          NumbersIn(AskSqlite("SELECT group_concat(order_id, ' ') FROM entries"))};
}

std::string Stores::Leftovers() {
  std::string left;
  const auto expect_zero = [&left](const std::string& what, const std::string& count) {
    if (count != "0") left += fmt::format("{}: {}\n", what, count);
  };
  expect_zero("pg_prepared_xacts", AskPostgres("SELECT count(*) FROM pg_prepared_xacts"));
  if (AskPostgres("SELECT to_regclass('indoubt.decisions') IS NOT NULL") == "t") {
    expect_zero("indoubt.decisions", AskPostgres("SELECT count(*) FROM indoubt.decisions"));
  }
  for (const std::string_view key : {kRedisPreparedKey, kRedisLocksKey, kRedisOutcomesKey}) {
    expect_zero(std::string(key), AskRedis({"HLEN", std::string(key)}));
  }
  for (const std::string_view table :
       {kSqliteBranchTable, kSqliteLockTable, kSqliteOutcomeTable}) {
    if (AskSqlite(fmt::format("SELECT count(*) FROM sqlite_schema WHERE name = '{}'", table)) !=
        "0") {
      expect_zero(std::string(table), AskSqlite(fmt::format("SELECT count(*) FROM {}", table)));
    }
  }
  return left;
}

std::string Stores::Unwritable(int64_t order) {
  std::string stuck;
  const auto note = [&stuck](const std::string& answer) {
    if (answer.starts_with("error")) stuck += answer + "\n";
  };
  note(
      AskPostgres("SET lock_timeout = '500ms'; UPDATE account SET balance = balance;"
                  "UPDATE orders SET account = account"));
  note(
      AskSqlite(fmt::format("PRAGMA busy_timeout=2000; BEGIN IMMEDIATE;"
                            "REPLACE INTO entries VALUES ({}, 7, 5); ROLLBACK",
                            order)));
  note(AskRedis({"INCRBY", "stock:42", "0"}));
  return stuck;
}

std::string Stores::Unbalanced() {
  const int64_t orders = std::atoll(AskPostgres("SELECT count(*) FROM orders").c_str());
  const int64_t balance = std::atoll(AskPostgres("SELECT balance FROM account").c_str());
  const int64_t stock = std::atoll(AskRedis({"GET", "stock:42"}).c_str());
  const int64_t entries = std::atoll(AskSqlite("SELECT count(*) FROM entries").c_str());
  if (balance == kBalance - 5 * orders && stock == kStock - orders && entries == orders)
    return "";
  return fmt::format("{} orders, balance {}, stock {}, {} entries", orders, balance, stock,
                     entries);
}

}  // namespace indoubt::testing
