#include "experiments/workloads/shop.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdc/derivation.h"
#include "experiments/workloads/random.h"
#include "experiments/workloads/shop_derivation.h"

namespace indoubt {
namespace {

ShopOptions Options(uint64_t seed) {
  ShopOptions options;
  options.seed = seed;
  return options;
}

bool Same(const Operation& a, const Operation& b) {
  return a.kind == b.kind && a.order == b.order && a.account == b.account && a.item == b.item &&
         a.quantity == b.quantity && a.amount == b.amount;
}

TEST(Shop, OperationsDependOnSeedAndNumberAlone) {
  const Shop shop(Options(7));
  const Shop again(Options(7));
  const Shop other(Options(8));
  int differing = 0;
  for (uint64_t i = 1000; i-- > 0;) {  // from behind: no state is carried along
    EXPECT_TRUE(Same(shop.At(i), again.At(i))) << i;
    differing += Same(shop.At(i), other.At(i)) ? 0 : 1;
  }
  EXPECT_GT(differing, 990);
}

TEST(Shop, OrdersAreUniqueAndWithinTheShop) {
  const Shop shop(Options(3));
  std::set<int64_t> orders;
  int prices = 0;
  constexpr int kOperations = 10'000;
  for (uint64_t i = 0; i < kOperations; ++i) {
    const Operation operation = shop.At(i);
    EXPECT_GE(operation.item, 1);
    EXPECT_LE(operation.item, shop.options().items);
    EXPECT_GT(operation.amount, 0);
    if (operation.kind == OperationKind::kSetPrice) {
      ++prices;
      continue;
    }
    EXPECT_TRUE(orders.insert(operation.order).second);
    EXPECT_GE(operation.account, 1);
    EXPECT_LE(operation.account, shop.options().accounts);
    EXPECT_GE(operation.quantity, 1);
    EXPECT_LE(operation.quantity, 5);
  }
  EXPECT_NEAR(prices, kOperations * 0.2, kOperations * 0.02);
}

TEST(Shop, ZipfGivesTheFirstRanksTheirShare) {
  const std::vector<double> cdf = ZipfCdf(1000, 0.99);
  EXPECT_DOUBLE_EQ(cdf.back(), 1);
  std::map<int64_t, int> seen;
  constexpr int kDraws = 100'000;
  for (uint64_t i = 0; i < kDraws; ++i) ++seen[ZipfRank(cdf, RandomUnitAt(1, 0, i))];
  EXPECT_NEAR(seen[1], cdf[0] * kDraws, 500);
  EXPECT_NEAR(seen[2], (cdf[1] - cdf[0]) * kDraws, 400);
  EXPECT_GT(seen[1], seen[2]);
  EXPECT_EQ(ZipfRank(cdf, 0), 1);
  EXPECT_EQ(ZipfRank(cdf, 0x1.fffffffffffffp-1), 1000);
}

TEST(Shop, ZipfWithoutSkewIsUniform) {
  const std::vector<double> cdf = ZipfCdf(4, 0);
  EXPECT_THAT(cdf, testing::ElementsAre(0.25, 0.5, 0.75, 1.0));
}

TEST(Shop, EveryStoreHoldsTheFactOrOnlyTheSource) {
  const Shop shop(Options(1));
  for (uint64_t i = 0; i < 100; ++i) {
    const Operation operation = shop.At(i);
    std::set<std::string> everywhere, source;
    for (const auto& each : shop.Compile(operation, Placement::kEverywhere).statements) {
      everywhere.insert(each.participant);
    }
    for (const auto& each : shop.Compile(operation, Placement::kSourceOnly).statements) {
      source.insert(each.participant);
    }
    EXPECT_EQ(everywhere, operation.kind == OperationKind::kPlaceOrder
                              ? (std::set<std::string>{"accounts", "ledger", "stock"})
                              : (std::set<std::string>{"accounts", "stock"}));
    EXPECT_EQ(source, std::set<std::string>{"accounts"});
  }
}

TEST(ShopDerivation, FollowsOrdersAndPrices) {
  RegisterShopDerivation();
  const auto derivation = FindDerivation(kShopDerivation);
  ASSERT_TRUE(derivation) << derivation.error().ToString();
  SourceRelation orders;
  orders.name = "orders";
  RowChange insert;
  insert.relation = &orders;
  insert.after = RowImage{
      {"id", "17"}, {"account", "3"}, {"item", "5"}, {"quantity", "2"}, {"amount", "20"}};
  const auto commands = derivation->redis(insert);
  ASSERT_TRUE(commands);
  EXPECT_THAT(*commands, testing::ElementsAre(testing::ElementsAre("DECRBY", "stock:5", "2"),
                                              testing::ElementsAre("SET", "reserved:17", "2")));
  const auto statements = derivation->sqlite(insert);
  ASSERT_TRUE(statements);
  ASSERT_EQ(statements->size(), 1u);
  EXPECT_THAT(statements->at(0).params,
              testing::ElementsAre(Value{int64_t{17}}, Value{int64_t{3}}, Value{int64_t{5}},
                                   Value{int64_t{20}}));
  SourceRelation item;
  item.name = "item";
  RowChange update;
  update.kind = ChangeKind::kUpdate;
  update.relation = &item;
  update.after = RowImage{{"id", "5"}, {"price", "99"}};
  EXPECT_THAT(derivation->redis(update).value(),
              testing::ElementsAre(testing::ElementsAre("SET", "price:5", "99")));
  EXPECT_TRUE(derivation->sqlite(update).value().empty());
}

TEST(ShopDerivation, RefusesWhatThisWorkloadNeverDoes) {
  RegisterShopDerivation();
  const auto derivation = FindDerivation(kShopDerivation);
  SourceRelation orders;
  orders.name = "orders";
  RowChange change;
  change.kind = ChangeKind::kDelete;
  change.relation = &orders;
  change.before = RowImage{{"id", "17"}};
  EXPECT_EQ(derivation->redis(change).status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(derivation->sqlite(change).status().code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace indoubt
