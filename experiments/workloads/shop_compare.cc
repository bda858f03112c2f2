// The full comparison of the three stores at the end of a repetition.
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

constexpr auto kSqliteBusy = std::chrono::seconds(10);

struct OrderRow {
  int64_t account = 0, item = 0, quantity = 0, amount = 0;
};

struct LedgerRow {
  int64_t account = 0, item = 0, amount = 0;
};

/// Everything that the three stores hold, read when nothing moves any more.
struct World {
  std::map<int64_t, OrderRow> orders;              // PostgreSQL
  std::map<int64_t, int64_t> balances;             // PostgreSQL
  std::map<int64_t, int64_t> prices;               // PostgreSQL
  std::map<int64_t, std::string> reserved;         // Redis
  std::map<int64_t, std::string> stock;            // Redis
  std::map<int64_t, std::string> prices_at_stock;  // Redis
  std::map<int64_t, LedgerRow> entries;            // SQLite
};

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

template <typename T>
const T* Find(const std::map<int64_t, T>& map, int64_t id) {
  const auto at = map.find(id);
  return at == map.end() ? nullptr : &at->second;
}

void CompareOrders(const World& world, FinalComparison& result) {
  std::set<int64_t> ids;
  for (const auto& entry : world.orders) ids.insert(entry.first);
  for (const auto& entry : world.reserved) ids.insert(entry.first);
  for (const auto& entry : world.entries) ids.insert(entry.first);
  result.orders = static_cast<int64_t>(ids.size());
  for (const int64_t id : ids) {
    const OrderRow* order = Find(world.orders, id);
    const std::string* reserved = Find(world.reserved, id);
    const LedgerRow* entry = Find(world.entries, id);
    const bool same = order != nullptr && reserved != nullptr && entry != nullptr &&
                      *reserved == std::to_string(order->quantity) &&
                      entry->account == order->account && entry->item == order->item &&
                      entry->amount == order->amount;
    if (same) continue;
    const auto text = [](const auto& row) {
      return fmt::format("account {} item {} amount {}", row.account, row.item, row.amount);
    };
    result.inconsistent.push_back(
        {"order:" + std::to_string(id),
         "order",
         {{kAccounts, order == nullptr ? Cell() : Cell(text(*order))},
          {kStock, reserved == nullptr ? Cell() : Cell(*reserved)},
          {kLedger, entry == nullptr ? Cell() : Cell(text(*entry))}}});
  }
}

void CompareItems(const ShopOptions& options, const World& world, FinalComparison& result) {
  std::map<int64_t, int64_t> taken;
  for (const auto& [id, order] : world.orders) taken[order.item] += order.quantity;
  for (int64_t item = 1; item <= options.items; ++item) {
    const std::string expected = std::to_string(options.initial_stock - taken[item]);
    const std::string* stock = Find(world.stock, item);
    if (stock == nullptr || *stock != expected) {
      result.inconsistent.push_back(
          {"stock:" + std::to_string(item),
           "stock",
           {{kAccounts, expected}, {kStock, stock == nullptr ? Cell() : Cell(*stock)}}});
    }
    const int64_t* price = Find(world.prices, item);
    const std::string* cached = Find(world.prices_at_stock, item);
    const Cell here = price == nullptr ? Cell() : Cell(std::to_string(*price));
    const Cell there = cached == nullptr ? Cell() : Cell(*cached);
    if (!here || here != there) {
      result.inconsistent.push_back(
          {"price:" + std::to_string(item), "price", {{kAccounts, here}, {kStock, there}}});
    }
  }
  result.stock = options.items;
  result.prices = options.items;
}

void CompareAccounts(const ShopOptions& options, const World& world, FinalComparison& result) {
  std::map<int64_t, int64_t> debited;
  for (const auto& [id, order] : world.orders) debited[order.account] += order.amount;
  for (int64_t account = 1; account <= options.accounts; ++account) {
    const int64_t expected = options.initial_balance - debited[account];
    const int64_t* balance = Find(world.balances, account);
    if (balance != nullptr && *balance == expected) continue;
    // Both sides are PostgreSQL's: what its orders say, and what the row says.
    result.inconsistent.push_back(
        {"account:" + std::to_string(account),
         "account",
         {{"accounts.orders", std::to_string(expected)},
          {kAccounts, balance == nullptr ? Cell() : Cell(std::to_string(*balance))}}});
  }
  result.accounts = options.accounts;
}

void CompareWithTold(const World& world, const std::vector<ToldOperation>& told,
                     FinalComparison& result) {
  for (const ToldOperation& each : told) {
    if (each.operation.kind != OperationKind::kPlaceOrder) continue;
    const int64_t id = each.operation.order;
    const int present = static_cast<int>(world.orders.contains(id)) +
                        static_cast<int>(world.reserved.contains(id)) +
                        static_cast<int>(world.entries.contains(id));
    const std::string key = "order:" + std::to_string(id);
    if (each.told == Told::kCommitted && present < 3) result.lost_acknowledged.push_back(key);
    if (each.told == Told::kRolledBack && present > 0) result.resurrected.push_back(key);
  }
}

}  // namespace

Result<FinalComparison> Shop::Compare(const StoreEndpoints& stores,
                                      const std::vector<ToldOperation>& told) const {
  World world;
  INDOUBT_RETURN_IF_ERROR(ReadPostgres(stores.postgres_dsn, world));
  INDOUBT_RETURN_IF_ERROR(ReadRedis(stores.redis_uri, world));
  INDOUBT_RETURN_IF_ERROR(ReadSqlite(stores.sqlite_path, world));
  FinalComparison result;
  CompareOrders(world, result);
  CompareItems(options_, world, result);
  CompareAccounts(options_, world, result);
  CompareWithTold(world, told, result);
  return result;
}

}  // namespace indoubt
