// The rights that a Redis view's user needs, from the file that the docs name.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/cli/cdc_shop.h"
#include "tests/participants/redis/redis_ask.h"

namespace indoubt::testing {
namespace {

TEST(CdcUsers, ARedisViewIsFilledAndRebuiltByTheUserOfTheShippedAcl) {
  CdcShop shop;
  std::istringstream line(ReadText(INDOUBT_VIEW_USERS_ACL));
  std::vector<std::string> command{"ACL", "SETUSER"};
  std::string word;
  ASSERT_TRUE(line >> word && word == "user");
  while (line >> word) command.push_back(word);
  ASSERT_EQ(shop.stores().AskRedis(command), "OK");
  const std::string port = OpenTcpPort(shop.stores().redis());
  std::ofstream(shop.config_path(), std::ios::app)
      << "[participants.guarded]\nkind = \"redis\"\nuri = "
         "\"redis://views:VIEWS-PASSWORD@127.0.0.1:"
      << port << "/1\"\n[views.guarded]\nkind = \"redis\"\nsink = \"guarded\"\n";
  shop.stores().AskPostgres("INSERT INTO orders SELECT n, 7 FROM generate_series(1, 10) n");
  const auto worker = shop.StartWorker();
  const auto shows = [&](int order) {
    shop.stores().AskPostgres(fmt::format("INSERT INTO orders VALUES ({}, 7)", order));
    const std::string token = shop.stores().AskPostgres("SELECT pg_current_wal_flush_lsn()");
    const Ran waited = shop.Cdc({"wait", "guarded", token, "--timeout", "20s"});
    EXPECT_TRUE(waited.Exited(0)) << waited.err << shop.worker_output();
  };
  shows(11);
  const Ran rebuilt = shop.Cdc({"rebuild", "guarded"});
  EXPECT_TRUE(rebuilt.Exited(0)) << rebuilt.err;
  shows(12);
}

}  // namespace
}  // namespace indoubt::testing
