#include "experiments/workloads/shop_world.h"

#include <fmt/format.h>

#include "experiments/ndjson.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

using World = ShopWorld;
using nlohmann::json;

constexpr auto kSqliteBusy = std::chrono::seconds(10);

int64_t Number(const Cell& cell) { return cell ? std::strtoll(cell->c_str(), nullptr, 10) : 0; }

Status ReadPostgres(const std::string& dsn, World& world) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, PostgresClient::Connect(dsn));
  INDOUBT_ASSIGN_OR_RETURN(
      const auto orders,
      client->Query("SELECT id, account, item, quantity, amount FROM orders"));
  for (const Row& row : orders) {
    world.orders[Number(row[0])] = {Number(row[1]), Number(row[2]), Number(row[3]),
                                    Number(row[4])};
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto accounts,
                           client->Query("SELECT id, balance FROM account"));
  for (const Row& row : accounts) world.balances[Number(row[0])] = Number(row[1]);
  INDOUBT_ASSIGN_OR_RETURN(const auto items, client->Query("SELECT id, price FROM item"));
  for (const Row& row : items) world.prices[Number(row[0])] = Number(row[1]);
  return Status::Ok();
}

Status ReadKeys(RedisClient& client, const std::string& prefix,
                std::map<int64_t, std::string>& into) {
  INDOUBT_ASSIGN_OR_RETURN(const auto keys, client.Keys(prefix + "*"));
  INDOUBT_ASSIGN_OR_RETURN(const auto values, client.Get(keys));
  for (size_t i = 0; i < keys.size(); ++i) {
    const int64_t id = std::strtoll(keys[i].c_str() + prefix.size(), nullptr, 10);
    if (values[i]) into[id] = *values[i];
  }
  return Status::Ok();
}

Status ReadRedis(const std::string& uri, World& world) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, RedisClient::Connect(uri));
  INDOUBT_RETURN_IF_ERROR(ReadKeys(*client, "reserved:", world.reserved));
  INDOUBT_RETURN_IF_ERROR(ReadKeys(*client, "stock:", world.stock));
  return ReadKeys(*client, "price:", world.prices_at_stock);
}

Status ReadSqlite(const std::string& path, World& world) {
  INDOUBT_ASSIGN_OR_RETURN(const auto client, SqliteClient::Open(path, false, kSqliteBusy));
  INDOUBT_ASSIGN_OR_RETURN(
      const auto rows, client->Query("SELECT order_id, account, item, amount FROM entries"));
  for (const Row& row : rows) {
    world.entries[Number(row[0])] = {Number(row[1]), Number(row[2]), Number(row[3])};
  }
  return Status::Ok();
}

void Write(NdjsonFile& file, const char* store, const std::string& key, json value) {
  file.Write({{"store", store}, {"key", key}, {"value", std::move(value)}});
}

template <typename Value, typename Initial>
void WriteChanged(NdjsonFile& file, const char* store, const char* prefix,
                  const std::map<int64_t, Value>& values, const Initial& initial) {
  for (const auto& [id, value] : values) {
    if (value != initial) Write(file, store, fmt::format("{}:{}", prefix, id), value);
  }
}

/// Keys that SetUp made and that are gone: the one thing that their absence cannot say.
template <typename Value>
void WriteMissing(NdjsonFile& file, const char* store, const char* prefix,
                  const std::map<int64_t, Value>& values, int64_t count) {
  for (int64_t id = 1; id <= count; ++id) {
    if (!values.contains(id)) Write(file, store, fmt::format("{}:{}", prefix, id), nullptr);
  }
}

}  // namespace

Result<ShopWorld> ReadWorld(const StoreEndpoints& stores) {
  World world;
  INDOUBT_RETURN_IF_ERROR(ReadPostgres(stores.postgres_dsn, world));
  INDOUBT_RETURN_IF_ERROR(ReadRedis(stores.redis_uri, world));
  INDOUBT_RETURN_IF_ERROR(ReadSqlite(stores.sqlite_path, world));
  return world;
}

Status RecordWorld(const ShopOptions& options, const World& world, const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const auto file, NdjsonFile::Create(path));
  for (const auto& [id, row] : world.orders) {
    Write(*file, kAccounts, fmt::format("order:{}", id),
          {{"account", row.account},
           {"item", row.item},
           {"quantity", row.quantity},
           {"amount", row.amount}});
  }
  for (const auto& [id, quantity] : world.reserved) {
    Write(*file, kStock, fmt::format("order:{}", id), quantity);
  }
  for (const auto& [id, row] : world.entries) {
    Write(*file, kLedger, fmt::format("order:{}", id),
          {{"account", row.account}, {"item", row.item}, {"amount", row.amount}});
  }
  WriteChanged(*file, kAccounts, "account", world.balances, options.initial_balance);
  WriteChanged(*file, kAccounts, "price", world.prices, kInitialPrice);
  WriteChanged(*file, kStock, "stock", world.stock, std::to_string(options.initial_stock));
  WriteChanged(*file, kStock, "price", world.prices_at_stock, std::to_string(kInitialPrice));
  WriteMissing(*file, kAccounts, "account", world.balances, options.accounts);
  WriteMissing(*file, kAccounts, "price", world.prices, options.items);
  WriteMissing(*file, kStock, "stock", world.stock, options.items);
  WriteMissing(*file, kStock, "price", world.prices_at_stock, options.items);
  return file->Close();
}

}  // namespace indoubt
