// The swap of a Redis view that is rebuilt, over a connection that is spoilt.
#include <future>

#include <gmock/gmock.h>

#include "cdc/rebuild/rebuild.h"
#include "cdc/table_name.h"
#include "faults/proxy.h"
#include "tests/cdc/kill_fixture.h"

namespace indoubt {
namespace {

using std::chrono::seconds;

class CdcRebuildRedisTest : public CdcKillFixture {
 protected:
  static constexpr char kView[] = "rows_cache";
  void SetUp() override {
    CdcKillFixture::SetUp();
    auto proxy = Proxy::Start({.listen = "unix:" + folder_.path() + "/proxy.sock",
                               .server = "unix:" + redis_->socket_path()});
    ASSERT_TRUE(proxy) << proxy.error().ToString();
    proxy_ = std::move(*proxy);
  }
  /// A worker of all views but the one that is rebuilt, whose position so stays where it is.
  CdcOptions WithoutView() const {
    CdcOptions options = AllOptions();
    std::erase_if(options.views, [](const ViewOptions& view) { return view.name == kView; });
    return options;
  }
  CdcOptions ThroughProxy() const {
    CdcOptions options = AllOptions();
    for (ViewOptions& view : options.views) {
      if (view.name == kView) view.sink = "unix://" + folder_.path() + "/proxy.sock?db=0";
    }
    return options;
  }
  bool Struck() const {
    return proxy_->AwaitStrike(SystemClock().Now() + seconds(30)).has_value();
  }

  std::unique_ptr<Proxy> proxy_;
};

TEST_F(CdcRebuildRedisTest, ASwapThatWasGivenUpDoesNotHappenAfterTheNewVersionIsRemoved) {
  {
    const auto worker = CdcWorker::Start(AllOptions());
    ASSERT_TRUE(worker) << worker.error().ToString();
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1), ('a2', 20)");
    ExpectEverythingEqualsSource();
  }
  {
    const auto others = CdcWorker::Start(WithoutView());
    ASSERT_TRUE(others) << others.error().ToString();
    // Once all of the swap is queued, its EXEC is held.
    proxy_->Arm({.action = ProxyAction::kHold, .containing = "indoubt:cdc:swapped"});
    auto rebuilt = std::async(std::launch::async, [options = ThroughProxy()] {
      return RebuildView(options, kView, seconds(30));
    });
    ASSERT_TRUE(Struck());
    proxy_->Arm({.direction = Direction::kToServer,
                 .action = ProxyAction::kHold,
                 .containing = "EXEC"});
    proxy_->Release();
    ASSERT_TRUE(Struck());
    const auto given_up = rebuilt.get();
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code(), StatusCode::kUnavailable) << given_up.error().ToString();
    proxy_->Release();
    ASSERT_TRUE(Eventually([&] { return proxy_->connections() == 0; }));
  }
  const auto worker = CdcWorker::Start(AllOptions());
  ASSERT_TRUE(worker) << worker.error().ToString();
  ExpectEverythingEqualsSource();
}

TEST_F(CdcRebuildRedisTest, OldKeysGoWhateverTheCaseThatTheTablesAreConfiguredIn) {
  CdcOptions options = AllOptions();
  options.tables = {"MOVES", "Public . \"account\""};
  {
    const auto worker = CdcWorker::Start(options);
    ASSERT_TRUE(worker) << worker.error().ToString();
    Client().Run("INSERT INTO moves(item, amount) VALUES ('a1', 1), ('a2', 20)");
    ExpectEverythingEqualsSource();
  }
  for (const char* key : {"moves:999", "account:999"}) {
    RedisOne(redis_->socket_path(), {"HSET", key, "id", "999"});
  }
  const auto rebuilt = RebuildView(options, kView, seconds(30));
  ASSERT_TRUE(rebuilt) << rebuilt.error().ToString();
  for (const char* key : {"moves:999", "account:999"}) {
    EXPECT_EQ(RedisOne(redis_->socket_path(), {"HGET", key, "id"}), "") << key;
  }
}

TEST_F(CdcRebuildRedisTest, TheServerReadsNamesOfTablesAsTheConfigurationDoes) {
  SourceClient client = Client();
  client.Run("CREATE SCHEMA \"My.Shop\"");
  client.Run("CREATE TABLE \"My.Shop\".\"Order \"\"Items\"\"\"(id int)");
  client.Run("CREATE TABLE \"B\u00dccher-1\"(id int); CREATE TABLE \"b\u00dccher-1\"(id int)");
  for (const std::string text :
       {"MOVES", " public . Moves ", "\"My.Shop\".\"Order \"\"Items\"\"\"", "B\u00dcCHER-1",
        "\"B\u00dccher-1\""}) {
    const auto name = BareTableName(text);
    ASSERT_TRUE(name) << name.error().ToString();
    EXPECT_EQ(
        client.Run("SELECT relname FROM pg_class WHERE oid = to_regclass('" + text + "')"),
        *name);
  }
  for (const std::string text : {"order items", "\"moves", "public.", "\"mo\"ves"}) {
    EXPECT_FALSE(BareTableName(text)) << text;
  }
}

}  // namespace
}  // namespace indoubt
