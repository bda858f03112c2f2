#include "experiments/workloads/shop_derivation.h"

#include <charconv>

#include <fmt/format.h>

#include "cdc/derivation.h"
#include "experiments/workloads/shop_names.h"

namespace indoubt {
namespace {

Result<int64_t> Number(const RowChange& change, const std::string& column) {
  const auto at = change.after->find(column);
  int64_t number = 0;
  if (at != change.after->end() && at->second) {
    const std::string& text = *at->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  }
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("derivation shop: {}.{} is not a number", change.relation->name, column));
}

Status OnlyInserts(const RowChange& change) {
  return Status(StatusCode::kUnsupported,
                fmt::format("derivation shop: {} of table {}; orders may only be inserted",
                            ToString(change.kind), change.relation->name));
}

Result<std::vector<RedisCommand>> RedisOf(const RowChange& change) {
  if (change.relation->name == "item") {
    if (!change.after) return OnlyInserts(change);
    INDOUBT_ASSIGN_OR_RETURN(const int64_t item, Number(change, "id"));
    INDOUBT_ASSIGN_OR_RETURN(const int64_t price, Number(change, "price"));
    return std::vector<RedisCommand>{{"SET", PriceKey(item), std::to_string(price)}};
  }
  if (change.relation->name != "orders") return std::vector<RedisCommand>{};
  if (change.kind != ChangeKind::kInsert) return OnlyInserts(change);
  INDOUBT_ASSIGN_OR_RETURN(const int64_t order, Number(change, "id"));
  INDOUBT_ASSIGN_OR_RETURN(const int64_t item, Number(change, "item"));
  INDOUBT_ASSIGN_OR_RETURN(const int64_t quantity, Number(change, "quantity"));
  const std::string taken = std::to_string(quantity);
  return std::vector<RedisCommand>{{"DECRBY", StockKey(item), taken},
                                   {"SET", ReservedKey(order), taken}};
}

Result<std::vector<SqlStatement>> SqliteOf(const RowChange& change) {
  if (change.relation->name != "orders") return std::vector<SqlStatement>{};
  if (change.kind != ChangeKind::kInsert) return OnlyInserts(change);
  SqlStatement insert{
      "INSERT INTO entries (order_id, account, item, amount) VALUES (?1, ?2, ?3, ?4)", {}};
  for (const char* column : {"id", "account", "item", "amount"}) {
    INDOUBT_ASSIGN_OR_RETURN(const int64_t number, Number(change, column));
    insert.params.push_back(Value{number});
  }
  return std::vector<SqlStatement>{std::move(insert)};
}

NeededColumns ShopColumns() {
  return std::map<std::string, std::set<std::string>>{
      {"item", {"id", "price"}}, {"orders", {"id", "account", "item", "quantity", "amount"}}};
}

}  // namespace

void RegisterShopDerivation() {
  RegisterDerivation(kShopDerivation,
                     Derivation{.needs = ShopColumns(), .redis = RedisOf, .sqlite = SqliteOf});
}

}  // namespace indoubt
