#include "experiments/workloads/shop.h"

#include <fmt/format.h>

#include "experiments/workloads/random.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

// Streams of randomness; an operation's parts are independent of each other.
enum Stream : uint64_t {
  kKindStream,
  kAccountStream,
  kItemStream,
  kQuantityStream,
  kPriceStream
};

constexpr uint64_t kMaxQuantity = 5;
constexpr uint64_t kMaxPrice = 1'000'000'000;
constexpr int64_t kUnitAmount = 10;

AddressedStatement To(const char* participant, std::string text, std::vector<Value> params,
                      std::optional<int64_t> expect_rows = std::nullopt) {
  return {participant, Statement{std::move(text), std::move(params), expect_rows}};
}

}  // namespace

const char* ToString(OperationKind kind) {
  switch (kind) {
    case OperationKind::kPlaceOrder:
      return "place_order";
    case OperationKind::kSetPrice:
      return "set_price";
  }
  return "?";
}

Shop::Shop(ShopOptions options)
    : options_(options),
      account_cdf_(ZipfCdf(options.accounts, options.zipf)),
      item_cdf_(ZipfCdf(options.items, options.zipf)) {}

Operation Shop::At(uint64_t i) const {
  const uint64_t seed = options_.seed;
  Operation operation;
  operation.item = ZipfRank(item_cdf_, RandomUnitAt(seed, kItemStream, i));
  if (RandomUnitAt(seed, kKindStream, i) < options_.set_price_share) {
    operation.kind = OperationKind::kSetPrice;
    operation.amount = static_cast<int64_t>(RandomAt(seed, kPriceStream, i) % kMaxPrice) + 1;
    return operation;
  }
  operation.kind = OperationKind::kPlaceOrder;
  operation.order = static_cast<int64_t>(i) + 1;
  operation.account = ZipfRank(account_cdf_, RandomUnitAt(seed, kAccountStream, i));
  operation.quantity =
      static_cast<int64_t>(RandomAt(seed, kQuantityStream, i) % kMaxQuantity) + 1;
  operation.amount = operation.quantity * kUnitAmount;
  return operation;
}

TransactionRequest Shop::Compile(const Operation& operation, Placement placement) const {
  const bool everywhere = placement == Placement::kEverywhere;
  TransactionRequest request;
  auto& statements = request.statements;
  if (operation.kind == OperationKind::kSetPrice) {
    statements.push_back(To(kAccounts, "UPDATE item SET price = $1 WHERE id = $2",
                            {Value{operation.amount}, Value{operation.item}}, 1));
    if (everywhere) {
      statements.push_back(
          To(kStock, "SET $1 $2", {Value{PriceKey(operation.item)}, Value{operation.amount}}));
    }
    return request;
  }
  statements.push_back(To(kAccounts, "UPDATE account SET balance = balance - $1 WHERE id = $2",
                          {Value{operation.amount}, Value{operation.account}}, 1));
  statements.push_back(
      To(kAccounts,
         "INSERT INTO orders (id, account, item, quantity, amount) "
         "VALUES ($1, $2, $3, $4, $5)",
         {Value{operation.order}, Value{operation.account}, Value{operation.item},
          Value{operation.quantity}, Value{operation.amount}},
         1));
  if (!everywhere) return request;
  statements.push_back(
      To(kStock, "DECRBY $1 $2", {Value{StockKey(operation.item)}, Value{operation.quantity}}));
  statements.push_back(To(kStock, "SET $1 $2",
                          {Value{ReservedKey(operation.order)}, Value{operation.quantity}}));
  statements.push_back(To(kLedger,
                          "INSERT INTO entries (order_id, account, item, amount) "
                          "VALUES (?1, ?2, ?3, ?4)",
                          {Value{operation.order}, Value{operation.account},
                           Value{operation.item}, Value{operation.amount}},
                          1));
  return request;
}

}  // namespace indoubt
