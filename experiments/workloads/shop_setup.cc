// Schema and first rows of the workload `shop`.
#include <fmt/format.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kSqliteBusy = std::chrono::seconds(10);
constexpr size_t kKeysPerCommand = 1000;

Status SetUpPostgres(const ShopOptions& options, const std::string& dsn) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, PostgresClient::Connect(dsn));
  return client->Run(
      fmt::format("SET client_min_messages = error; DROP TABLE IF EXISTS account, item, orders;"
                  "CREATE TABLE account (id bigint PRIMARY KEY, balance bigint NOT NULL);"
                  "CREATE TABLE item (id bigint PRIMARY KEY, price bigint NOT NULL);"
                  "CREATE TABLE orders (id bigint PRIMARY KEY, account bigint NOT NULL,"
                  " item bigint NOT NULL, quantity bigint NOT NULL, amount bigint NOT NULL);"
                  "INSERT INTO account SELECT g, {} FROM generate_series(1, {}) g;"
                  "INSERT INTO item SELECT g, {} FROM generate_series(1, {}) g;"
                  "ANALYZE account; ANALYZE item",
                  options.initial_balance, options.accounts, kInitialPrice, options.items));
}

Status SetUpRedis(const ShopOptions& options, const std::string& uri) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, RedisClient::Connect(uri));
  for (const char* pattern : {"stock:*", "price:*", "reserved:*"}) {
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

Status Shop::SetUp(const StoreEndpoints& stores) const {
  INDOUBT_RETURN_IF_ERROR(SetUpPostgres(options_, stores.postgres_dsn));
  INDOUBT_RETURN_IF_ERROR(SetUpRedis(options_, stores.redis_uri));
  return SetUpSqlite(stores.sqlite_path);
}

}  // namespace indoubt
