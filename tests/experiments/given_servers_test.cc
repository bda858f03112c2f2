// Servers that a run is given: the same ones when it is gone on with, and for one run alone.
#include "experiments/given_servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/stores/store_clients.h"
#include "faults/servers.h"

namespace indoubt {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

TEST(OtherServer, IsNamedUnlessItIsTheSameUnderAnyOfItsNames) {
  const json then = {{"postgres", {{"system", "1"}, {"database", "bank"}}},
                     {"redis", {{"address", "a:1/0"}, {"run_id", "x"}}}};
  EXPECT_EQ(OtherServer(then, then), "");
  EXPECT_EQ(OtherServer(json::object(), then), "") << "recorded before there were names";
  json now = then;
  now["redis"]["run_id"] = "restarted";
  EXPECT_EQ(OtherServer(then, now), "");
  now["redis"]["address"] = "b:1/0";
  EXPECT_THAT(OtherServer(then, now),
              HasSubstr("another Redis (then at a:1/0, and now at b:1/0)"));
  now = then;
  now["postgres"]["database"] = "other";
  EXPECT_THAT(OtherServer(then, now), HasSubstr("another PostgreSQL"));
}

class GivenServersTest : public ::testing::Test {
 protected:
  GivenServersTest() {
    auto postgres = PostgresServer::Start(folder_.path());
    auto redis = RedisServer::Start(folder_.path());
    if (!postgres || !redis) return;
    postgres_ = std::move(*postgres);
    redis_ = std::move(*redis);
    options_.postgres_dsn = postgres_->dsn();
    options_.redis_uri = redis_->uri();
  }
  ScratchFolder folder_{"indoubt-given"};
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
  RunOptions options_;
};

TEST_F(GivenServersTest, AreForOneRunAloneAndFreeWhenItHasEnded) {
  ASSERT_TRUE(redis_);
  RunOptions postgres_only = options_, redis_only = options_;
  postgres_only.redis_uri.reset();
  redis_only.postgres_dsn.reset();
  {
    const auto hold = GivenServersHold::Take(options_);
    ASSERT_TRUE(hold) << hold.error().ToString();
    const auto second = GivenServersHold::Take(postgres_only);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code(), StatusCode::kLocked);
    EXPECT_THAT(second.error().message(), HasSubstr("--postgres: another indoubt run"));
    const auto third = GivenServersHold::Take(redis_only);
    ASSERT_FALSE(third);
    EXPECT_THAT(third.error().message(), HasSubstr("--redis: another indoubt run"));
  }
  const auto again = GivenServersHold::Take(options_);
  EXPECT_TRUE(again) << again.error().ToString();
}

TEST_F(GivenServersTest, LoseTheSlotThatAKilledRunHasLeft) {
  ASSERT_TRUE(postgres_);
  const auto client = PostgresClient::Connect(*options_.postgres_dsn);
  ASSERT_TRUE(client);
  for (const char* slot : {"lab_left", "labour"}) {
    ASSERT_TRUE((*client)
                    ->Query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", {slot})
                    .status()
                    .ok());
  }
  ASSERT_TRUE((*client)->Run("CREATE PUBLICATION lab_left").ok());
  ASSERT_TRUE(GivenServersHold::Take(options_).status().ok());
  const auto slots = (*client)->Query("SELECT slot_name FROM pg_replication_slots");
  ASSERT_TRUE(slots);
  ASSERT_EQ(slots->size(), 1U) << "somebody else's stays";
  EXPECT_EQ(slots->at(0).at(0), "labour");
  const auto publications = (*client)->Query("SELECT pubname FROM pg_publication");
  ASSERT_TRUE(publications);
  EXPECT_TRUE(publications->empty());
}

}  // namespace
}  // namespace indoubt
