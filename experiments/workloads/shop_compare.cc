// The full comparison of the three stores at the end of a repetition. Pure: what was read
// (shop_world.h) against what must be true.
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/workloads/shop.h"
#include "experiments/workloads/shop_names.h"
#include "experiments/workloads/shop_world.h"

namespace indoubt {
namespace {

using World = ShopWorld;
using Cell = std::optional<std::string>;
using OrderRow = ShopWorld::OrderRow;
using LedgerRow = ShopWorld::LedgerRow;

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

FinalComparison CompareWorld(const ShopOptions& options, const ShopWorld& world,
                             const std::vector<ToldOperation>& told) {
  FinalComparison result;
  CompareOrders(world, result);
  CompareItems(options, world, result);
  CompareAccounts(options, world, result);
  CompareWithTold(world, told, result);
  return result;
}

Result<FinalComparison> Shop::Compare(const StoreEndpoints& stores,
                                      const std::vector<ToldOperation>& told) const {
  INDOUBT_ASSIGN_OR_RETURN(const ShopWorld world, ReadWorld(stores));
  return CompareWorld(options_, world, told);
}

}  // namespace indoubt
