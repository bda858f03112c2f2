#include "bench/adapter_store.h"

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>

#include "bench/world.h"
#include "participants/postgres/postgres_participant.h"
#include "participants/redis/redis_participant.h"
#include "participants/sqlite/sqlite_participant.h"

namespace indoubt::bench {
namespace {

/// About what a prepare writes: a few hundred bytes in each of the three stores.
constexpr size_t kProbeBytes = 512;

constexpr const char* kRedisSum =
    "local sum = 0 for _, key in ipairs(redis.call('KEYS', 'number:*')) do "
    "sum = sum + redis.call('GET', key) end return sum";

template <typename T>
T OrExit(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "indoubt-bench: %s\n", result.error().ToString().c_str());
  std::exit(3);
}

std::string Shell(std::vector<std::string> argv) {
  std::string said = OrExit(
      RunProgram({.argv = std::move(argv)}, SystemClock().Now() + std::chrono::seconds(60)));
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said;
}

std::string Psql(const PostgresServer& server, const std::string& sql) {
  return Shell(
      {"psql", "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", server.dsn(), "-c", sql});
}

std::string SqlitePath(const DataFolder& folder) { return folder.path() + "/bench.db"; }

}  // namespace

AdapterStore::AdapterStore(StoreKind kind, int numbers)
    : kind_(kind), folder_(TheSettings().data), probe_(folder_.path(), kProbeBytes) {
  chmod(folder_.path().c_str(), 0755);  // user postgres must reach what is inside
  switch (kind) {
    case StoreKind::kPostgres:
      StartPostgres(numbers);
      break;
    case StoreKind::kRedis:
      StartRedis(numbers);
      break;
    case StoreKind::kSqlite:
      MakeSqlite(numbers);
      break;
  }
  const auto report =
      OrExit(participant_->Preflight(SystemClock().Now() + std::chrono::seconds(30)));
  for (const std::string& problem : report.problems) {
    std::fprintf(stderr, "indoubt-bench: %s\n", problem.c_str());
    std::exit(3);
  }
}

void AdapterStore::StartPostgres(int numbers) {
  postgres_ = OrExit(PostgresServer::Start(folder_.path()));
  Psql(*postgres_,
       fmt::format("CREATE TABLE number (client int PRIMARY KEY, value bigint NOT NULL);"
                   "INSERT INTO number SELECT n, 0 FROM generate_series(0, {}) n",
                   numbers - 1));
  participant_ = OrExit(MakePostgresParticipant({.name = "store", .dsn = postgres_->dsn()}));
}

void AdapterStore::StartRedis(int numbers) {
  redis_ = OrExit(RedisServer::Start(folder_.path()));
  std::vector<std::string> set{"redis-cli", "-s", redis_->socket_path(), "MSET"};
  for (int i = 0; i < numbers; ++i) {
    set.push_back(fmt::format("number:{}", i));
    set.emplace_back("0");
  }
  Shell(std::move(set));
  participant_ = OrExit(MakeRedisParticipant({.name = "store", .uri = redis_->uri()}));
}

void AdapterStore::MakeSqlite(int numbers) {
  Shell({"sqlite3", "-batch", SqlitePath(folder_),
         fmt::format("PRAGMA journal_mode=WAL;"
                     "CREATE TABLE number (client INTEGER PRIMARY KEY, value INTEGER NOT NULL);"
                     "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < "
                     "{}) INSERT INTO number SELECT i, 0 FROM n",
                     numbers - 1)});
  participant_ = OrExit(MakeSqliteParticipant(
      {.name = "store", .path = SqlitePath(folder_), .tables = {"number"}}));
}

Statement AdapterStore::Add(int client) const {
  const int64_t which = client;
  switch (kind_) {
    case StoreKind::kPostgres:
    case StoreKind::kSqlite:
      return {"UPDATE number SET value = value + 1 WHERE client = $1", {Value{which}}, 1};
    case StoreKind::kRedis:
      return {fmt::format("INCRBY number:{} 1", client), {}, {}};
  }
  return {};
}

std::string AdapterStore::Sum() const {
  switch (kind_) {
    case StoreKind::kPostgres:
      return Psql(*postgres_, "SELECT sum(value) FROM number");
    case StoreKind::kSqlite:
      return Shell({"sqlite3", "-batch", SqlitePath(folder_), "SELECT sum(value) FROM number"});
    case StoreKind::kRedis:
      return Shell({"redis-cli", "-s", redis_->socket_path(), "EVAL", kRedisSum, "0"});
  }
  return "";
}

}  // namespace indoubt::bench
