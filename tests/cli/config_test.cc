#include "cli/config.h"

#include <cstdlib>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace indoubt::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kShop = R"([coordinator]
node = "shop-1"
default_timeout = "3s"
[participants.accounts]
kind = "postgres"
dsn = "host=/run/pg password=hunter2"
[participants.stock]
kind = "redis"
uri = "redis://127.0.0.1:6379/0"
[participants.ledger]
kind = "sqlite"
path = "ledger.db"
tables = ["entries"]
)";

std::string ErrorOf(const std::string& text) {
  const auto config = ParseConfig(text, "conf/shop.toml");
  if (config) return "";
  EXPECT_EQ(config.error().code(), StatusCode::kInvalidArgument);
  return config.error().message();
}

TEST(Config, ReadsTheExampleOfTheReadme) {
  const auto config = ParseConfig(kShop, "conf/shop.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->node, "shop-1");
  EXPECT_EQ(config->default_timeout, std::chrono::seconds(3));
  EXPECT_EQ(config->log_path, "conf/decisions");
  ASSERT_EQ(config->participants.size(), 3u);
  for (const ParticipantOptions& participant : config->participants) {
    if (const auto* sqlite = std::get_if<SqliteOptions>(&participant)) {
      EXPECT_EQ(sqlite->path, "conf/ledger.db");
    }
  }
}

TEST(Config, UnknownKeyIsNamedWithLineAndColumn) {
  EXPECT_THAT(ErrorOf(std::string(kShop) + "tabels = [\"x\"]\n"),
              HasSubstr("conf/shop.toml:14:1: participants.ledger.tabels: unknown key"));
}

TEST(Config, TwoParticipantsOnOneSqliteFileAreAnError) {
  const std::string copy = "[participants.copy]\nkind = \"sqlite\"\ntables = [\"more\"]\n";
  EXPECT_THAT(ErrorOf(std::string(kShop) + copy + "path = \"../conf/./ledger.db\"\n"),
              HasSubstr("conf/shop.toml:12:8: participants.ledger.path: is the file of "
                        "participants.copy already"));
  EXPECT_EQ(ErrorOf(std::string(kShop) + copy + "path = \"more.db\"\n"), "");
}

TEST(Config, DurationWithoutUnitIsAnError) {
  EXPECT_THAT(ErrorOf("[coordinator]\nnode = \"a\"\ndefault_timeout = 5\n"),
              HasSubstr("conf/shop.toml:3:19: coordinator.default_timeout: has no unit"));
  EXPECT_THAT(ErrorOf("[coordinator]\nnode = \"a\"\ndefault_timeout = \"11m\"\n"),
              HasSubstr("conf/shop.toml:3:19: coordinator.default_timeout: must be above 0s "
                        "and at most 10m"));
  EXPECT_THAT(ErrorOf("[coordinator]\nnode = \"a\"\ndefault_timeout = \"5\"\n"),
              HasSubstr("has no unit"));
}

TEST(Config, SyntaxErrorNamesThePlace) {
  EXPECT_THAT(ErrorOf("[coordinator\n"), HasSubstr("conf/shop.toml:1:"));
}

TEST(Config, BadNodeNameIsRefused) {
  EXPECT_THAT(ErrorOf("[coordinator]\nnode = \"a.b\"\n"), HasSubstr("coordinator.node"));
}

TEST(Config, SecretsMayComeFromTheEnvironmentAndAreNeverShown) {
  std::string text = kShop;
  const std::string dsn = "dsn = \"host=/run/pg password=hunter2\"";
  text.replace(text.find(dsn), dsn.size(), "dsn_env = \"INDOUBT_TEST_DSN\"");
  unsetenv("INDOUBT_TEST_DSN");
  EXPECT_THAT(ErrorOf(text), HasSubstr("INDOUBT_TEST_DSN is not set"));
  setenv("INDOUBT_TEST_DSN", "dbname=x", 1);
  const auto config = ParseConfig(text, "shop.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_THAT(ErrorOf(std::string(kShop) + "bad = 1\n"), Not(HasSubstr("hunter2")));
}

TEST(Config, ASecretInPlaceOfAVariableNameIsNotShown) {
  std::string text = kShop;
  const std::string dsn = "dsn = \"host=/run/pg password=hunter2\"";
  text.replace(text.find(dsn), dsn.size(), "dsn_env = \"host=/run/pg password=hunter2\"");
  EXPECT_THAT(ErrorOf(text), HasSubstr("name of an environment variable"));
  EXPECT_THAT(ErrorOf(text), Not(HasSubstr("hunter2")));
}

TEST(Config, AControlCharacterOfTheFileIsShownAndNotPrinted) {
  const std::string unknown_key = std::string(kShop) + "\"bell\\u0007\" = 1\n";
  EXPECT_THAT(ErrorOf(unknown_key), HasSubstr("bell\\x07"));
  const std::string no_toml = "[coordinator]\nnode = [[[[\x1b[31m";
  for (const std::string& error : {ErrorOf(unknown_key), ErrorOf(no_toml)}) {
    for (const char c : error) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << error;
  }
  const std::string endless = std::string(kShop) + std::string(100'000, 'k') + " = 1\n";
  EXPECT_LT(ErrorOf(endless).size(), 2000u);
}

TEST(Config, ListenMustBeAnAddressWithAPort) {
  const std::string listen = "[coordinator]\nnode = \"n\"\nlisten = ";
  for (const char* wrong : {"\"127.0.0.1\"", "\"127.0.0.1:99999\"", "\":1\"", "\"unix:\"",
                            "\"h:12x\"", "\"h:-1\""}) {
    EXPECT_THAT(ErrorOf(listen + wrong + "\n"), HasSubstr("HOST:PORT")) << wrong;
  }
}

TEST(Config, APathInListenIsRelativeToTheFile) {
  const auto listen = [](const std::string& value) {
    std::string text = kShop;
    text.insert(text.find("default_timeout"), "listen = \"" + value + "\"\n");
    const auto config = ParseConfig(text, "conf/shop.toml");
    return config ? config->listen : config.error().message();
  };
  EXPECT_EQ(listen("unix:rel.sock"), "unix:conf/rel.sock");
  EXPECT_EQ(listen("unix:../run/rel.sock"), "unix:run/rel.sock");
  EXPECT_EQ(listen("unix:/run/abs.sock"), "unix:/run/abs.sock");
  EXPECT_EQ(listen("unix:///run/abs.sock"), "unix:/run/abs.sock");
  EXPECT_EQ(listen("127.0.0.1:7440"), "127.0.0.1:7440");
}

std::string With(const std::string& was, const std::string& now) {
  std::string text = kShop;
  text.replace(text.find(was), was.size(), now);
  return text;
}

TEST(Config, WhereAStoreIsIsCheckedWithItsPlaceAndWithoutSecrets) {
  const std::string dsn = "\"host=/run/pg password=hunter2\"",
                    uri = "\"redis://127.0.0.1:6379/0\"";
  const std::string no_dsn = ErrorOf(With(dsn, "\"host=/run/pg password='hunter2\""));
  EXPECT_THAT(no_dsn, HasSubstr("conf/shop.toml:6:7: participants.accounts.dsn: the connection "
                                "string cannot be parsed"));
  const std::string no_uri = ErrorOf(With(uri, "\"redis://shop:hunter2@h:99999/0\""));
  EXPECT_THAT(no_uri, HasSubstr("conf/shop.toml:9:7: participants.stock.uri: the port is not a "
                                "number from 1 to 65535"));
  setenv("INDOUBT_TEST_URI", "http://hunter2", 1);
  const std::string variable = ErrorOf(With("uri = " + uri, "uri_env = \"INDOUBT_TEST_URI\""));
  EXPECT_THAT(variable, HasSubstr("conf/shop.toml:9:11: participants.stock.uri_env: is neither "
                                  "redis:// nor unix://"));
  for (const std::string& error : {no_dsn, no_uri, variable}) {
    EXPECT_THAT(error, Not(HasSubstr("hunter2")));
  }
  EXPECT_THAT(ErrorOf(With("\"ledger.db\"", "\"\"")),
              HasSubstr("conf/shop.toml:12:8: participants.ledger.path: must name"));
}

TEST(Config, TablesOfIndoubtsOwnAreNotManaged) {
  for (const char* own : {"indoubt_branch", "Indoubt_Lock", "indoubt_cdc_position"}) {
    EXPECT_THAT(ErrorOf(With("\"entries\"", fmt::format("\"entries\", \"{}\"", own))),
                HasSubstr("conf/shop.toml:13:10: participants.ledger.tables: "));
  }
  EXPECT_EQ(ErrorOf(With("\"entries\"", "\"indoubt\", \"entries_indoubt_\"")), "");
}

TEST(Config, ARetentionThatProtectsNothingIsRefused) {
  const std::string node = "node = \"shop-1\"\n";
  for (const char* wrong : {"0s", "999ms"}) {
    EXPECT_THAT(
        ErrorOf(With(node, node + "outcome_retention = \"" + wrong + "\"\n")),
        HasSubstr("conf/shop.toml:3:21: coordinator.outcome_retention: must be at least 1s"));
  }
  EXPECT_EQ(ErrorOf(With(node, node + "outcome_retention = \"1s\"\n")), "");
}

TEST(Config, WhereTheLogIsWrittenIsKnown) {
  const auto config = ParseConfig(std::string(kShop) + "[log]\npath = \"x\"\n", "conf/s.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->log_place, "conf/s.toml:15:8: log.path");
  EXPECT_EQ(ParseConfig(kShop, "conf/s.toml")->log_place, "conf/s.toml: log.path");
}

TEST(Config, ViewMustNameAParticipantOfItsKind) {
  EXPECT_THAT(ErrorOf(std::string(kShop) +
                      "[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\nslot = \"s\"\n"
                      "log = { kind = \"sqlite\", path = \"e.db\" }\n"
                      "[views.cache]\nkind = \"redis\"\nsink = \"ledger\"\n"),
              HasSubstr("views.cache.sink"));
}

TEST(Config, TwoViewsOfRowsHaveASinkEach) {
  const std::string views = std::string(kShop) +
                            "[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\nslot = \"s\"\n"
                            "log = { kind = \"sqlite\", path = \"e.db\" }\n"
                            "[views.one]\nkind = \"sqlite\"\nsink = \"ledger\"\n"
                            "[views.two]\nkind = \"sqlite\"\nsink = \"ledger\"\n";
  EXPECT_THAT(ErrorOf(views), AllOf(HasSubstr("views.two.sink"), HasSubstr("view one")));
  // Nor by two names of one Redis database.
  const auto redis = [](const std::string& uri) {
    return fmt::format(
        "{}[participants.again]\nkind = \"redis\"\nuri = \"{}\"\n"
        "[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\nslot = \"s\"\n"
        "log = {{ kind = \"sqlite\", path = \"e.db\" }}\n"
        "[views.one]\nkind = \"redis\"\nsink = \"stock\"\n"
        "[views.two]\nkind = \"redis\"\nsink = \"again\"\n",
        kShop, uri);
  };
  for (const char* same : {"redis://127.0.0.1:6379/0", "redis://me:secret@localhost"}) {
    EXPECT_THAT(ErrorOf(redis(same)), AllOf(HasSubstr("views.two.sink"), HasSubstr("view one"),
                                            Not(HasSubstr("secret"))));
  }
  for (const char* other : {"redis://127.0.0.1:6379/1", "redis://127.0.0.1:6380/0",
                            "unix:///run/redis.sock?db=0"}) {
    EXPECT_EQ(ErrorOf(redis(other)), "");
  }
}

TEST(Config, ASlotHasANameThatPostgresTakes) {
  for (const std::string& wrong :
       {std::string("Shop-1"), std::string(), std::string(64, 's')}) {
    EXPECT_THAT(ErrorOf(fmt::format("{}[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\n"
                                    "slot = \"{}\"\nlog = {{ kind = \"sqlite\", path = "
                                    "\"e.db\" }}\n",
                                    kShop, wrong)),
                HasSubstr("cdc.slot"));
  }
}

TEST(Config, TablesHaveNamesAsPostgresReadsThem) {
  const auto of = [](const std::string& table) {
    return fmt::format(
        "{}[cdc]\nsource = \"accounts\"\ntables = ['{}']\nslot = \"s\"\nlog = {{ kind = "
        "\"sqlite\", path = \"e.db\" }}\n[views.find]\nkind = \"search\"\nsink = \"ledger\"\n",
        kShop, table);
  };
  for (const char* wrong : {"order items", "\"orders", "shop.", "a.b.c.d"}) {
    EXPECT_THAT(ErrorOf(of(wrong)), AllOf(HasSubstr("cdc.tables"), HasSubstr("SCHEMA.TABLE")))
        << wrong;
  }
  const auto known = ParseConfig(of("shop.Orders") + "columns = [\"orders.note\"]\n", "f");
  EXPECT_TRUE(known) << known.error().ToString();
  EXPECT_THAT(ErrorOf(of("\"Orders\"") + "columns = [\"orders.note\"]\n"),
              HasSubstr("no column of a table"));
}

TEST(Config, MetricsNeedAHostAndAPort) {
  const std::string cdc = std::string(kShop) +
                          "[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\nslot = \"s\"\n"
                          "log = { kind = \"sqlite\", path = \"e.db\" }\nmetrics = ";
  for (const char* wrong : {"\"9187\"", "\"unix:/m\"", "\"h:99999\""}) {
    EXPECT_THAT(ErrorOf(cdc + wrong + "\n"), HasSubstr("cdc.metrics")) << wrong;
  }
  const auto config = ParseConfig(cdc + "\"127.0.0.1:9187\"\n", "shop.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->cdc->metrics, "127.0.0.1:9187");
}

TEST(Config, TheEventLogsRetentionIsADurationASizeAndARule) {
  const auto with = [](const std::string& of_log, const std::string& of_cdc) {
    return std::string(kShop) +
           "[cdc]\nsource = \"accounts\"\ntables = [\"t\"]\nslot = \"s\"\nlog = { kind = "
           "\"sqlite\", path = \"e.db\"" +
           of_log + " }\n" + of_cdc;
  };
  const auto plain = ParseConfig(with("", ""), "shop.toml");
  ASSERT_TRUE(plain) << plain.error().ToString();
  EXPECT_FALSE(plain->cdc->retention_time || plain->cdc->retention_size);
  EXPECT_EQ(plain->cdc->on_view_lag, "hold");
  EXPECT_EQ(plain->cdc->compaction, "none");
  const auto config = ParseConfig(
      with(", retention_time = \"168h\", retention_size = \"20GiB\", compaction = \"key\"",
           "on_view_lag = \"stop\"\n"),
      "shop.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_EQ(config->cdc->retention_time, Duration(std::chrono::hours(168)));
  EXPECT_EQ(config->cdc->retention_size, uint64_t{20} << 30);
  EXPECT_EQ(config->cdc->on_view_lag, "stop");
  EXPECT_EQ(config->cdc->compaction, "key");
  EXPECT_THAT(ErrorOf(with(", retention_time = 7", "")), HasSubstr("cdc.log.retention_time"));
  EXPECT_THAT(ErrorOf(with(", retention_time = \"0s\"", "")), HasSubstr("above 0s"));
  EXPECT_THAT(ErrorOf(with(", retention_size = \"20GB\"", "")), HasSubstr("20GiB"));
  EXPECT_THAT(ErrorOf(with(", compaction = true", "")), HasSubstr("cdc.log.compaction"));
  EXPECT_THAT(ErrorOf(with("", "on_view_lag = \"drop\"\n")), HasSubstr("cdc.on_view_lag"));
}

TEST(Config, MissingFileIsAnError) {
  const auto config = LoadConfig("/nonexistent/shop.toml");
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message(), HasSubstr("/nonexistent/shop.toml"));
}

TEST(Config, OnePostgresAtMostIsTheLastResource) {
  std::string text = kShop;
  const std::string dsn = "kind = \"postgres\"\n";
  text.insert(text.find(dsn) + dsn.size(), "last_resource = true\n");
  const auto config = ParseConfig(text, "conf/shop.toml");
  ASSERT_TRUE(config) << config.error().ToString();
  EXPECT_TRUE(std::get<PostgresOptions>(config->participants[0]).last_resource);
  EXPECT_THAT(ErrorOf(text + "[participants.bank]\nkind = \"postgres\"\ndsn = \"\"\n"
                             "last_resource = true\n"),
              AllOf(HasSubstr("conf/shop.toml:18:17: participants.bank.last_resource: "),
                    HasSubstr("participants.accounts is the last resource already")));
  EXPECT_THAT(ErrorOf(std::string(text).replace(text.find("shop-1"), 6, std::string(29, 'n'))),
              HasSubstr("conf/shop.toml:6:17: participants.accounts.last_resource: with a last "
                        "resource, coordinator.node has at most 28"));
  EXPECT_THAT(ErrorOf(std::string(kShop) + "last_resource = true\n"),
              HasSubstr("only a participant of kind \"postgres\""));
}

}  // namespace
}  // namespace indoubt::cli
