// The comparison finds every way in which the stores can differ.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"
#include "faults/servers.h"

namespace indoubt {
namespace {

class ShopStoresTest : public testing::Test {
 protected:
  void SetUp() override {
    auto postgres = PostgresServer::Start(folder_.path());
    ASSERT_TRUE(postgres) << postgres.error().ToString();
    postgres_ = std::move(*postgres);
    auto redis = RedisServer::Start(folder_.path());
    ASSERT_TRUE(redis) << redis.error().ToString();
    redis_ = std::move(*redis);
    stores_ = {postgres_->dsn(), redis_->uri(), folder_.path() + "/ledger.db"};
    ShopOptions options;
    options.accounts = options.items = 5;
    shop_.emplace(options);
    const Status made = shop_->SetUp(stores_);
    ASSERT_TRUE(made.ok()) << made.ToString();
  }

  void Postgres(const std::string& sql) {
    auto client = std::move(PostgresClient::Connect(stores_.postgres_dsn)).value();
    const Status done = client->Run(sql);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }
  void Redis(const std::vector<std::string>& command) {
    auto client = std::move(RedisClient::Connect(stores_.redis_uri)).value();
    ASSERT_TRUE(client->Run(command).status().ok());
  }
  void Sqlite(const std::string& sql) {
    auto client =
        std::move(SqliteClient::Open(stores_.sqlite_path, false, std::chrono::seconds(1)))
            .value();
    const Status done = client->Run(sql);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }
  /// The keys that differ.
  std::vector<std::string> Apart(const std::vector<ToldOperation>& told = {}) {
    const auto comparison = shop_->Compare(stores_, told);
    EXPECT_TRUE(comparison) << comparison.status().ToString();
    std::vector<std::string> keys;
    for (const InconsistentKey& key : comparison->inconsistent) keys.push_back(key.key);
    lost_ = comparison->lost_acknowledged;
    resurrected_ = comparison->resurrected;
    return keys;
  }

  ScratchFolder folder_{"indoubt-shop-test"};
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
  StoreEndpoints stores_;
  std::optional<Shop> shop_;
  std::vector<std::string> lost_, resurrected_;
};

TEST_F(ShopStoresTest, ComparisonNamesEveryKeyThatDiffers) {
  EXPECT_THAT(Apart(), testing::IsEmpty());

  Postgres(
      "INSERT INTO orders VALUES (17, 1, 2, 3, 30);"
      "UPDATE account SET balance = balance - 30 WHERE id = 1");
  EXPECT_THAT(Apart(), testing::UnorderedElementsAre("order:17", "stock:2"));
  Redis({"DECRBY", "stock:2", "3"});
  Redis({"SET", "reserved:17", "3"});
  EXPECT_THAT(Apart(), testing::UnorderedElementsAre("order:17"));
  Sqlite("INSERT INTO entries VALUES (17, 1, 2, 31)");
  EXPECT_THAT(Apart(), testing::UnorderedElementsAre("order:17"));  // another amount
  Sqlite("UPDATE entries SET amount = 30");
  EXPECT_THAT(Apart(), testing::IsEmpty());

  Postgres("UPDATE account SET balance = balance - 1 WHERE id = 4");
  Redis({"SET", "price:3", "7"});
  Redis({"SET", "reserved:18", "1"});
  EXPECT_THAT(Apart(), testing::UnorderedElementsAre("account:4", "price:3", "order:18"));
}

TEST_F(ShopStoresTest, WhatClientsWereToldIsHeldAgainstTheStores) {
  Redis({"SET", "reserved:18", "1"});
  Operation lost, back;
  lost.order = 17;
  back.order = 18;
  Apart({{lost, Told::kCommitted}, {back, Told::kRolledBack}});
  EXPECT_THAT(lost_, testing::ElementsAre("order:17"));
  EXPECT_THAT(resurrected_, testing::ElementsAre("order:18"));
  Apart({{lost, Told::kUnknown}, {back, Told::kUnknown}});
  EXPECT_THAT(lost_, testing::IsEmpty());
  EXPECT_THAT(resurrected_, testing::IsEmpty());
}

TEST_F(ShopStoresTest, WhatAnotherRunMadeMayBeDropped) {
  const Status ours = Shop::CheckDroppable(stores_.postgres_dsn, stores_.redis_uri);
  EXPECT_TRUE(ours.ok()) << ours.ToString();
}

TEST_F(ShopStoresTest, TablesOfSomebodyElseAreNotDropped) {
  Postgres("DROP TABLE item; CREATE TABLE item (id int)");
  const Status theirs = Shop::CheckDroppable(stores_.postgres_dsn, "");
  EXPECT_EQ(theirs.code(), StatusCode::kRefused);
  EXPECT_THAT(theirs.message(), testing::HasSubstr("table item was not made by indoubt"));
}

TEST_F(ShopStoresTest, KeysOfSomebodyElseAreNotDropped) {
  Redis({"FLUSHALL"});
  Redis({"SET", "price:9", "12"});
  const Status theirs = Shop::CheckDroppable("", stores_.redis_uri);
  EXPECT_EQ(theirs.code(), StatusCode::kRefused);
  EXPECT_THAT(theirs.message(), testing::HasSubstr("key price:9 was not made by indoubt"));
}

}  // namespace
}  // namespace indoubt
