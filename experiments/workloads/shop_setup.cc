// Schema and first rows of the workload `shop`.
#include <fmt/format.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kSqliteBusy = std::chrono::seconds(10);
constexpr size_t kKeysPerCommand = 1000;
constexpr const char* kPatterns[] = {"stock:*", "price:*", "reserved:*"};
// What tells our own tables and keys from those of somebody who uses the same names.
constexpr const char* kTableMark = "made by indoubt run; dropped by the next one";
constexpr const char* kKeyMark = "indoubt:shop";

Status RefuseToDrop(const std::string& what, const char* option) {
  return Status(StatusCode::kRefused,
                fmt::format("{} {} was not made by indoubt, and a run would drop it: give the "
                            "run a database of its own, or remove it first",
                            option, what));
}

Status CheckTables(const std::string& dsn) {
  const auto connected = PostgresClient::Connect(dsn);
  if (!connected) return connected.error().WithContext("--postgres");
  const auto& client = *connected;
  INDOUBT_ASSIGN_OR_RETURN(
      const auto theirs,
      client->Query("SELECT oid::regclass::text FROM pg_class WHERE oid IN"
                    " (to_regclass('account'), to_regclass('item'), to_regclass('orders'))"
                    " AND obj_description(oid, 'pg_class') IS DISTINCT FROM $1 ORDER BY 1",
                    {kTableMark}));
  if (theirs.empty()) return Status::Ok();
  return RefuseToDrop(fmt::format("table {}", theirs[0][0].value_or("?")), "--postgres:");
}

Status CheckKeys(const std::string& uri) {
  const auto connected = RedisClient::Connect(uri);
  if (!connected) return connected.error().WithContext("--redis");
  const auto& client = *connected;
  INDOUBT_ASSIGN_OR_RETURN(const auto mark, client->Get({kKeyMark}));
  if (mark[0]) return Status::Ok();
  for (const char* pattern : kPatterns) {
    INDOUBT_ASSIGN_OR_RETURN(const auto keys, client->Keys(pattern));
    if (!keys.empty()) return RefuseToDrop(fmt::format("key {}", keys[0]), "--redis:");
  }
  return Status::Ok();
}

Status SetUpPostgres(const ShopOptions& options, const std::string& dsn) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, PostgresClient::Connect(dsn));
  return client->Run(fmt::format(
      "SET client_min_messages = error; DROP TABLE IF EXISTS account, item, orders;"
      "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);"
      "CREATE TABLE item (id bigint PRIMARY KEY, price bigint NOT NULL);"
      "CREATE TABLE orders (id bigint PRIMARY KEY, account bigint NOT NULL,"
      " item bigint NOT NULL, quantity bigint NOT NULL, amount bigint NOT NULL);"
      "INSERT INTO account SELECT g, {0} FROM generate_series(1, {1}) g;"
      "INSERT INTO item SELECT g, {2} FROM generate_series(1, {3}) g;"
      "COMMENT ON TABLE account IS '{4}'; COMMENT ON TABLE item IS '{4}';"
      "COMMENT ON TABLE orders IS '{4}';"
      "ANALYZE account; ANALYZE item",
      options.initial_balance, options.accounts, kInitialPrice, options.items, kTableMark));
}

Status SetUpRedis(const ShopOptions& options, const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, RedisClient::Connect(uri));
  INDOUBT_RETURN_IF_ERROR(client->Run({"SET", kKeyMark, "1"}).status());
  for (const char* pattern : kPatterns) {
    INDOUBT_ASSIGN_OR_RETURN(const auto keys, client->Keys(pattern));
    std::vector<std::vector<std::string>> deletions;
    deletions.reserve(keys.size());
    for (const std::string& key : keys) deletions.push_back({"DEL", key});
    INDOUBT_RETURN_IF_ERROR(client->RunAll(deletions).status());
  }
  std::vector<std::string> command{"MSET"};
  for (int64_t item = 1; item <= options.items; ++item) {
    command.insert(command.end(), {StockKey(item), std::to_string(options.initial_stock),
                                   PriceKey(item), std::to_string(kInitialPrice)});
    if (command.size() > kKeysPerCommand || item == options.items) {
      INDOUBT_RETURN_IF_ERROR(client->Run(command).status());
      command.resize(1);
    }
  }
  return Status::Ok();
}

Status SetUpSqlite(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, SqliteClient::Open(path, true, kSqliteBusy));
  INDOUBT_RETURN_IF_ERROR(client->Run("PRAGMA journal_mode=WAL"));
  return client->Run(
      "DROP TABLE IF EXISTS entries;"
      "CREATE TABLE entries (order_id INTEGER PRIMARY KEY, account INTEGER NOT NULL,"
      " item INTEGER NOT NULL, amount INTEGER NOT NULL)");
}

}  // namespace

Status Shop::CheckDroppable(const std::string& postgres_dsn, const std::string& redis_uri) {
  if (!postgres_dsn.empty()) INDOUBT_RETURN_IF_ERROR(CheckTables(postgres_dsn));
  if (!redis_uri.empty()) INDOUBT_RETURN_IF_ERROR(CheckKeys(redis_uri));
  return Status::Ok();
}

Status Shop::SetUp(const StoreEndpoints& stores) const {
  INDOUBT_RETURN_IF_ERROR(SetUpPostgres(options_, stores.postgres_dsn));
  INDOUBT_RETURN_IF_ERROR(SetUpRedis(options_, stores.redis_uri));
  return SetUpSqlite(stores.sqlite_path);
}

}  // namespace indoubt
