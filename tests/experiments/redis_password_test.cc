// One `uri` means one server and one password, whoever reads it.
#include <gtest/gtest.h>

#include "cdc/views/redis_view.h"
#include "experiments/stores/store_clients.h"
#include "tests/participants/redis/redis_ask.h"

namespace indoubt {
namespace {

TEST(RedisPassword, IsReadAlikeByAdapterViewAndLaboratory) {
  ScratchFolder folder("indoubt-redis-password");
  const auto server = RedisServer::Start(folder.path());
  ASSERT_TRUE(server) << server.error().ToString();
  const std::string port = OpenTcpPort(**server);
  ASSERT_EQ(Ask(**server, {"CONFIG", "SET", "requirepass", "p@ss/%"}), "OK");
  for (const char* login : {"p%40ss%2F%25", ":p%40ss%2f%", "default:p@ss%2F%"}) {
    const std::string uri = std::string("redis://") + login + "@127.0.0.1:" + port + "/3";
    const TimePoint deadline = SystemClock().Now() + std::chrono::seconds(30);
    const auto preflight = MakeRedis(uri)->Preflight(deadline);
    EXPECT_TRUE(preflight) << login << ": " << preflight.error().ToString();
    ViewOptions view;
    view.name = "view";
    view.sink = uri;
    const auto position = ReadRedisPosition(view);
    EXPECT_TRUE(position) << login << ": " << position.error().ToString();
    const auto client = RedisClient::Connect(uri);
    EXPECT_TRUE(client) << login << ": " << client.error().ToString();
  }
}

}  // namespace
}  // namespace indoubt
