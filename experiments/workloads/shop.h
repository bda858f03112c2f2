// The workload `shop`: the same logical operations on every path.
//
//   place_order  debits an account and inserts an order (PostgreSQL), takes stock
//                and notes the reservation (Redis), inserts a ledger entry (SQLite)
//   set_price    writes an absolute price to PostgreSQL and Redis: where
//                uncoordinated writes race
//
// PostgreSQL (participant "accounts"):
//   account(id bigint primary key, balance bigint not null)
//   item(id bigint primary key, price bigint not null)
//   orders(id bigint primary key, account bigint, item bigint, quantity bigint, amount bigint)
// Redis (participant "stock"):   stock:<item>  price:<item>  reserved:<order>
// SQLite (participant "ledger"): entries(order_id integer primary key, account, item, amount)
//
// On the cdc path PostgreSQL holds all of it and Redis and SQLite are derived.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/executor.h"

namespace indoubt {

/// How to reach the three stores of a cell.
struct StoreEndpoints {
  std::string postgres_dsn;
  std::string redis_uri;
  std::string sqlite_path;
};

struct ShopOptions {
  int64_t accounts = 1000;
  int64_t items = 1000;
  double zipf = 0.99;            // skew of accounts and items; 0 is uniform
  double set_price_share = 0.2;  // of all operations
  bool token_reads = false;      // cdc: also readers with and without tokens and cuts
  int64_t initial_balance = 1'000'000'000;
  int64_t initial_stock = 1'000'000;
  uint64_t seed = 1;
};

enum class OperationKind { kPlaceOrder, kSetPrice };
const char* ToString(OperationKind kind);  // "place_order", "set_price"

struct Operation {
  OperationKind kind = OperationKind::kPlaceOrder;
  int64_t order = 0;    // unique; place_order only
  int64_t account = 0;  // place_order only
  int64_t item = 0;
  int64_t quantity = 0;
  int64_t amount = 0;  // place_order: debited; set_price: the new price
};

/// Where an operation's statements go.
enum class Placement {
  kEverywhere,  // every store that holds the fact
  kSourceOnly,  // PostgreSQL alone; the others are derived
};

/// How an operation ended, as far as its client was told.
enum class Told { kCommitted, kRolledBack, kUnknown };
struct ToldOperation {
  Operation operation;
  Told told = Told::kUnknown;
};

struct InconsistentKey {
  std::string key;   // "order:17", "stock:5", "price:5", "account:3"
  std::string kind;  // "order", "stock", "price", "account"
  // What each store holds: (participant, value or none).
  std::vector<std::pair<std::string, std::optional<std::string>>> values;
};

/// The full comparison of the three stores when nothing moves any more.
struct FinalComparison {
  int64_t orders = 0, stock = 0, prices = 0, accounts = 0;  // keys checked
  std::vector<InconsistentKey> inconsistent;
  std::vector<std::string> lost_acknowledged;  // told committed, missing in some store
  std::vector<std::string> resurrected;        // told rolled back, present in some store
};

/// Thread-safe once made.
class Shop {
 public:
  explicit Shop(ShopOptions options);

  /// Ok when SetUp() would drop nothing but what an earlier SetUp() made: tables and
  /// keys of the workload's names that somebody else put there are kRefused, by name.
  /// `postgres_dsn` and `redis_uri`, where not empty, name the servers to look at.
  static Status CheckDroppable(const std::string& postgres_dsn, const std::string& redis_uri);

  /// Makes schema and first rows in all three stores, dropping what was there.
  Status SetUp(const StoreEndpoints& stores) const;

  /// The i-th operation of this seed; the same for every path.
  Operation At(uint64_t i) const;

  TransactionRequest Compile(const Operation& operation, Placement placement) const;

  /// Reads everything back and compares: per order all stores or none; stock and
  /// balances against the orders that PostgreSQL holds; prices against each other.
  Result<FinalComparison> Compare(const StoreEndpoints& stores,
                                  const std::vector<ToldOperation>& told) const;

  const ShopOptions& options() const { return options_; }

 private:
  ShopOptions options_;
  std::vector<double> account_cdf_, item_cdf_;  // Zipf, cumulative
};

}  // namespace indoubt
