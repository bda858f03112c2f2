#include "experiments/final_state.h"

#include <set>

#include <fmt/format.h>
#include <hiredis/hiredis.h>

#include "experiments/stores/store_clients.h"
#include "participants/redis/redis_keys.h"
#include "participants/sqlite/sqlite_schema.h"

namespace indoubt {
namespace {

constexpr auto kSqliteBusy = std::chrono::seconds(5);

int64_t Number(const std::vector<Row>& rows) {
  return std::strtoll(rows.at(0).at(0).value_or("0").c_str(), nullptr, 10);
}

/// 0 where the table does not exist: then nobody staged anything in this file.
Result<int64_t> CountRows(SqliteClient& client, std::string_view table) {
  INDOUBT_ASSIGN_OR_RETURN(
      const auto there,
      client.Query("SELECT count(*) FROM sqlite_master WHERE name = ?1", {std::string(table)}));
  if (Number(there) == 0) return int64_t{0};
  INDOUBT_ASSIGN_OR_RETURN(const auto rows,
                           client.Query(fmt::format("SELECT count(*) FROM {}", table)));
  return Number(rows);
}

/// Rows of `table` that somebody else holds a lock on.
Status FindLockedRows(PostgresClient& client, const std::string& table,
                      std::vector<std::string>& unwritable) {
  INDOUBT_ASSIGN_OR_RETURN(const auto all, client.Query("SELECT id FROM " + table));
  INDOUBT_RETURN_IF_ERROR(client.Run("BEGIN"));
  INDOUBT_ASSIGN_OR_RETURN(const auto free,
                           client.Query("SELECT id FROM " + table + " FOR UPDATE SKIP LOCKED"));
  INDOUBT_RETURN_IF_ERROR(client.Run("ROLLBACK"));
  std::set<std::string> writable;
  for (const Row& row : free) writable.insert(row[0].value_or(""));
  for (const Row& row : all) {
    const std::string id = row[0].value_or("");
    if (!writable.contains(id)) unwritable.push_back(fmt::format("{}:{}", table, id));
  }
  return Status::Ok();
}

}  // namespace

Result<nlohmann::json> CountLeftovers(const StoreEndpoints& stores) {
  INDOUBT_ASSIGN_OR_RETURN(const auto postgres, PostgresClient::Connect(stores.postgres_dsn));
  INDOUBT_ASSIGN_OR_RETURN(const auto prepared,
                           postgres->Query("SELECT count(*) FROM pg_prepared_xacts WHERE "
                                           "database = current_database()"));
  INDOUBT_ASSIGN_OR_RETURN(const auto redis, RedisClient::Connect(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(const auto intents,
                           redis->Run({"HLEN", std::string(kRedisPreparedKey)}));
  INDOUBT_ASSIGN_OR_RETURN(const auto locks, redis->Run({"HLEN", std::string(kRedisLocksKey)}));
  INDOUBT_ASSIGN_OR_RETURN(const auto sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  INDOUBT_ASSIGN_OR_RETURN(const int64_t staged, CountRows(*sqlite, kSqliteBranchTable));
  INDOUBT_ASSIGN_OR_RETURN(const int64_t held, CountRows(*sqlite, kSqliteLockTable));
  return nlohmann::json{{"pg_prepared_xacts", Number(prepared)},
                        {"redis_intents", intents->integer},
                        {"redis_locks", locks->integer},
                        {"sqlite_staged", staged},
                        {"sqlite_locks", held}};
}

Result<std::vector<std::string>> FindUnwritable(const StoreEndpoints& stores) {
  std::vector<std::string> unwritable;
  INDOUBT_ASSIGN_OR_RETURN(const auto postgres, PostgresClient::Connect(stores.postgres_dsn));
  for (const char* table : {"account", "item", "orders"}) {
    INDOUBT_RETURN_IF_ERROR(FindLockedRows(*postgres, table, unwritable));
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto redis, RedisClient::Connect(stores.redis_uri));
  INDOUBT_ASSIGN_OR_RETURN(const auto locks,
                           redis->Run({"HKEYS", std::string(kRedisLocksKey)}));
  for (size_t i = 0; i < locks->elements; ++i) {
    unwritable.emplace_back(locks->element[i]->str, locks->element[i]->len);
  }
  INDOUBT_ASSIGN_OR_RETURN(const auto sqlite,
                           SqliteClient::Open(stores.sqlite_path, false, kSqliteBusy));
  Status written = sqlite->Run("BEGIN IMMEDIATE; UPDATE entries SET amount = amount");
  if (!written.ok()) unwritable.push_back("ledger: " + written.message());
  const Status ended = sqlite->Run("ROLLBACK");
  // After a refused statement SQLite may have ended the transaction by itself.
  if (written.ok()) INDOUBT_RETURN_IF_ERROR(ended);
  return unwritable;
}

nlohmann::json ToJson(const FinalComparison& comparison) {
  nlohmann::json inconsistent = nlohmann::json::array();
  for (const InconsistentKey& key : comparison.inconsistent) {
    nlohmann::json values = nlohmann::json::object();
    for (const auto& [store, value] : key.values) {
      values[store] = value ? nlohmann::json(*value) : nlohmann::json(nullptr);
    }
    inconsistent.push_back({{"key", key.key}, {"kind", key.kind}, {"values", values}});
  }
  return {{"checked",
           {{"orders", comparison.orders},
            {"stock", comparison.stock},
            {"prices", comparison.prices},
            {"accounts", comparison.accounts}}},
          {"inconsistent", inconsistent},
          {"lost_acknowledged", comparison.lost_acknowledged},
          {"resurrected", comparison.resurrected}};
}

}  // namespace indoubt
