// What the three stores hold of the workload `shop`, read when nothing moves any more:
// the last state of a history, from which atomicity and conservation are judged.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

struct ShopWorld {
  struct OrderRow {
    int64_t account = 0, item = 0, quantity = 0, amount = 0;
  };
  struct LedgerRow {
    int64_t account = 0, item = 0, amount = 0;
  };
  std::map<int64_t, OrderRow> orders;              // PostgreSQL
  std::map<int64_t, int64_t> balances;             // PostgreSQL
  std::map<int64_t, int64_t> prices;               // PostgreSQL
  std::map<int64_t, std::string> reserved;         // Redis
  std::map<int64_t, std::string> stock;            // Redis
  std::map<int64_t, std::string> prices_at_stock;  // Redis
  std::map<int64_t, LedgerRow> entries;            // SQLite
};

/// Reads all of it. Errors are the stores'.
Result<ShopWorld> ReadWorld(const StoreEndpoints& stores);

/// What contradicts what: per order all stores or none, with the same values (atomicity);
/// stock and balances against the orders that PostgreSQL holds (conservation); prices
/// against each other; what clients were told against what is there.
FinalComparison CompareWorld(const ShopOptions& options, const ShopWorld& world,
                             const std::vector<ToldOperation>& told);

/// Writes what the stores hold to `path`, one JSON object a key (docs/run-format.md).
/// Accounts, stock and prices that are still as SetUp made them are left out.
Status RecordWorld(const ShopOptions& options, const ShopWorld& world, const std::string& path);

}  // namespace indoubt
