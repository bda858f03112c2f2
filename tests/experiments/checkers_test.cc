// Every checker finds the violation that is planted for it, and accepts the clean history.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/workloads/shop_names.h"
#include "experiments/workloads/shop_world.h"

namespace indoubt {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// Order 17 (3 pieces of item 2 for 30 from account 1) and order 18 (1 of item 5 for 10 from
/// account 4), the same in all three stores, told committed; order 19 told rolled back.
class CheckersTest : public ::testing::Test {
 protected:
  CheckersTest() {
    options_.accounts = options_.items = 5;
    for (int64_t id = 1; id <= 5; ++id) {
      world_.balances[id] = options_.initial_balance;
      world_.prices[id] = kInitialPrice;
      world_.stock[id] = std::to_string(options_.initial_stock);
      world_.prices_at_stock[id] = std::to_string(kInitialPrice);
    }
    Place(17, {1, 2, 3, 30});
    Place(18, {4, 5, 1, 10});
    told_ = {{Order(17), Told::kCommitted},
             {Order(18), Told::kCommitted},
             {Order(19), Told::kRolledBack}};
  }
  void Place(int64_t id, const ShopWorld::OrderRow& row) {
    world_.orders[id] = row;
    world_.reserved[id] = std::to_string(row.quantity);
    world_.entries[id] = {row.account, row.item, row.amount};
    world_.balances[row.account] -= row.amount;
    world_.stock[row.item] = std::to_string(options_.initial_stock - row.quantity);
  }
  static Operation Order(int64_t id) {
    Operation operation;
    operation.order = id;
    return operation;
  }
  FinalComparison Judge() { return CompareWorld(options_, world_, told_); }
  /// The keys that the stores disagree on.
  std::vector<std::string> Apart() {
    std::vector<std::string> keys;
    for (const InconsistentKey& key : Judge().inconsistent) keys.push_back(key.key);
    return keys;
  }

  ShopOptions options_;
  ShopWorld world_;
  std::vector<ToldOperation> told_;
};

TEST_F(CheckersTest, ACleanHistoryIsAccepted) {
  const FinalComparison judged = Judge();
  EXPECT_THAT(Apart(), IsEmpty());
  EXPECT_THAT(judged.lost_acknowledged, IsEmpty());
  EXPECT_THAT(judged.resurrected, IsEmpty());
  EXPECT_EQ(judged.orders, 2);
  EXPECT_EQ(judged.accounts, 5);
}

TEST_F(CheckersTest, AtomicityFindsAnOrderThatIsMissingInAnyOneStore) {
  const ShopWorld clean = world_;
  world_.reserved.erase(17);
  EXPECT_THAT(Apart(), ElementsAre("order:17"));
  world_ = clean;
  world_.entries.erase(18);
  EXPECT_THAT(Apart(), ElementsAre("order:18"));
  world_ = clean;
  world_.orders.erase(17);  // its stock and its debit now have no order behind them either
  EXPECT_THAT(Apart(), UnorderedElementsAre("order:17", "stock:2", "account:1"));
}

TEST_F(CheckersTest, AtomicityFindsAnOrderWithOtherValuesInAnotherStore) {
  world_.entries[17].amount = 31;
  world_.reserved[18] = "2";
  EXPECT_THAT(Apart(), ElementsAre("order:17", "order:18"));
}

TEST_F(CheckersTest, ConservationFindsMoneyAndStockThatNoOrderExplains) {
  world_.balances[1] += 1;
  world_.stock[5] = std::to_string(options_.initial_stock);
  EXPECT_THAT(Apart(), UnorderedElementsAre("account:1", "stock:5"));
}

TEST_F(CheckersTest, DivergenceFindsAPriceThatTheStoresDisagreeOn) {
  world_.prices[3] = 7;
  world_.prices_at_stock.erase(4);
  EXPECT_THAT(Apart(), ElementsAre("price:3", "price:4"));
  world_.prices_at_stock[3] = "7";
  world_.prices_at_stock[4] = std::to_string(kInitialPrice);
  EXPECT_THAT(Apart(), IsEmpty());  // it was transient
}

TEST_F(CheckersTest, ALostAcknowledgedWriteIsFoundWhereverItIsMissing) {
  world_.entries.erase(17);
  EXPECT_THAT(Judge().lost_acknowledged, ElementsAre("order:17"));
  told_[0].told = Told::kUnknown;  // nobody promised it
  EXPECT_THAT(Judge().lost_acknowledged, IsEmpty());
}

TEST_F(CheckersTest, AnOrderToldRolledBackThatIsThereAnywhereIsFound) {
  world_.reserved[19] = "1";
  EXPECT_THAT(Judge().resurrected, ElementsAre("order:19"));
  told_[2].told = Told::kUnknown;
  EXPECT_THAT(Judge().resurrected, IsEmpty());
}

}  // namespace
}  // namespace indoubt
