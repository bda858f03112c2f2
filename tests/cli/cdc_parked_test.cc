// `indoubt cdc parked` and `indoubt cdc retry`, on real stores, from the outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(CdcParked, AreListedAndTriedAgainByTheWorkerThatRuns) {
  CdcShop shop;
  auto worker = shop.StartWorker();
  shop.stores().AskPostgres("INSERT INTO orders VALUES (12, 7)");
  ASSERT_TRUE(shop.ShowOrder(12));
  shop.stores().AskSqlite(
      "CREATE TRIGGER no_13 BEFORE INSERT ON orders WHEN NEW.id = 13 BEGIN "
      "SELECT RAISE(ABORT, 'not that one'); END",
      shop.view_path());
  shop.stores().AskPostgres("INSERT INTO orders VALUES (13, 7)");
  shop.stores().AskPostgres("INSERT INTO orders VALUES (14, 7)");
  ASSERT_TRUE(shop.ShowOrder(14)) << shop.worker_output();
  EXPECT_TRUE(Eventually([&] {
    return shop.worker_output().find("view table has parked 1") != std::string::npos;
  })) << shop.worker_output();
  const Json listed = Json::parse(shop.Cdc({"parked", "--json"}).out);
  EXPECT_EQ(listed["views"][0]["view"], "cache");
  EXPECT_TRUE(listed["views"][0]["parked"].empty());
  ASSERT_EQ(listed["views"][1]["parked"].size(), 1u) << listed;
  EXPECT_THAT(listed["views"][1]["parked"][0]["reason"], HasSubstr("not that one"));
  EXPECT_THAT(listed["views"][1]["parked"][0]["lsn"], HasSubstr("0/"));
  const Json status = Json::parse(shop.Cdc({"status", "--json", "--sample", "0s"}).out);
  EXPECT_EQ(status["views"][0]["parked_events"], 0) << status;
  EXPECT_EQ(status["views"][1]["parked_events"], 1) << status;
  const Ran in_vain = shop.Cdc({"retry", "table"});
  EXPECT_TRUE(in_vain.Exited(3)) << in_vain.out << in_vain.err;
  EXPECT_THAT(in_vain.out, HasSubstr("applied 0"));
  shop.stores().AskSqlite("DROP TRIGGER no_13", shop.view_path());
  const Ran helped = shop.Cdc({"retry", "table", "--json"});
  EXPECT_TRUE(helped.Exited(0)) << helped.out << helped.err;
  EXPECT_EQ(Json::parse(helped.out),
            Json({{"view", "table"}, {"applied", 1}, {"parked", Json::array()}}));
  EXPECT_TRUE(shop.ShowOrder(13));
  worker->KillAndWait();
  EXPECT_TRUE(shop.Cdc({"retry", "table"}).Exited(0));  // nothing to do needs no worker
  EXPECT_TRUE(shop.Cdc({"retry", "nonsense"}).Exited(2));
}

TEST(CdcParked, ARetryThatNoWorkerTakesUpSaysSo) {
  CdcShop shop;
  auto worker = shop.StartWorker();
  shop.stores().AskPostgres("INSERT INTO orders VALUES (12, 7)");
  ASSERT_TRUE(shop.ShowOrder(12));
  shop.stores().AskPostgres("TRUNCATE orders");  // which a Redis view of rows cannot follow
  EXPECT_TRUE(Eventually([&] {
    return shop.worker_output().find("view cache has parked 1") != std::string::npos;
  })) << shop.worker_output();
  worker->KillAndWait();
  const Ran ran = shop.Cdc({"retry", "cache", "--timeout", "100ms"});
  EXPECT_TRUE(ran.Exited(3));
  EXPECT_THAT(ran.err, HasSubstr("no worker has tried yet"));
}

}  // namespace
}  // namespace indoubt::testing
