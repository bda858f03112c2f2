// `indoubt doctor` over a configuration with [cdc], on real stores, from the outside.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Json = nlohmann::json;

/// What doctor says of [cdc] from `source` over `tables`, with `more_of_cdc` in it and `more`
/// beside it in the configuration.
Json CdcOf(Stores& stores, const std::string& source, const std::string& tables,
           const std::string& more = "", const std::string& more_of_cdc = "",
           const std::string& slot = "indoubt") {
  const std::string path = stores.folder() + "/doctor.toml";
  std::ofstream(path) << ReadText(stores.config_path()) << more
                      << fmt::format(
                             "[cdc]\nsource = \"{}\"\ntables = [{}]\nslot = \"{}\"\n"
                             "log = {{ kind = \"sqlite\", path = \"events.db\" }}\n{}",
                             source, tables, slot, more_of_cdc);
  const Ran ran = stores.Indoubt({"doctor", "-c", path, "--json"});
  const Json found = Json::parse(ran.out, nullptr, false);
  EXPECT_TRUE(found.contains("cdc")) << ran.out << ran.err;
  EXPECT_TRUE(ran.Exited(found.at("healthy") == true ? 0 : 3)) << ran.out;
  return found.value("cdc", Json());
}

TEST(CdcDoctor, FindsNothingWrongWithASourceThatTheWorkerCanFollow) {
  CdcShop shop;
  const Json before = CdcOf(shop.stores(), "accounts", R"("orders", "account")");
  EXPECT_EQ(before.at("source"), "accounts");
  EXPECT_THAT(before.at("problems"), IsEmpty()) << before;
  const auto worker = shop.StartWorker();
  const Json during = CdcOf(shop.stores(), "accounts", R"("orders", "account")");
  EXPECT_THAT(during.at("problems"), IsEmpty()) << during;
  EXPECT_THAT(during.at("notes").dump(), HasSubstr("a worker follows it"));
}

TEST(CdcDoctor, NamesWhatIsMissingWithItsRemedy) {
  Stores stores;
  stores.AskPostgres("CREATE ROLE plain LOGIN");
  stores.AskPostgres("CREATE TABLE heap (a int)");
  const std::string dsn = stores.postgres().dsn();
  const std::string plain =
      "[participants.plain]\nkind = \"postgres\"\ndsn = \"" + dsn + " user=plain\"\n";
  const Json found = CdcOf(stores, "plain", R"("orders", "heap", "nowhere")", plain);
  EXPECT_THAT(found.at("problems").get<std::vector<std::string>>(),
              ElementsAre(HasSubstr("ALTER ROLE \"plain\" REPLICATION"),
                          HasSubstr("GRANT CREATE ON DATABASE"),
                          HasSubstr("GRANT SELECT ON public.orders TO \"plain\""),
                          HasSubstr("ALTER TABLE public.orders OWNER TO \"plain\""),
                          HasSubstr("\"heap\" has no replica identity"),
                          HasSubstr("there is no table \"nowhere\"")))
      << found;
}

TEST(CdcDoctor, SaysWhatMakingTheSlotWaitsFor) {
  Stores stores;
  stores.AskPostgres("BEGIN; INSERT INTO orders VALUES (1, 1); PREPARE TRANSACTION 'theirs'");
  const Json found = CdcOf(stores, "accounts", R"("orders")");
  EXPECT_THAT(found.at("problems"), IsEmpty()) << found;
  EXPECT_THAT(found.at("warnings").dump(), HasSubstr("theirs"));
  stores.AskPostgres("ROLLBACK PREPARED 'theirs'");
}

TEST(CdcDoctor, DoesNotTakeTheSlotOfAnother) {
  Stores stores;
  stores.AskPostgres("SELECT pg_create_logical_replication_slot('indoubt', 'test_decoding')");
  const Json found = CdcOf(stores, "accounts", R"("orders")");
  EXPECT_THAT(found.at("problems").dump(), HasSubstr("it belongs to another log"));
}

TEST(CdcDoctor, HoldsThePublicationAgainstTheTables) {
  Stores stores;
  stores.AskPostgres("CREATE PUBLICATION indoubt FOR TABLE orders");
  EXPECT_THAT(CdcOf(stores, "accounts", R"("orders")").at("problems"), IsEmpty());
  const Json found = CdcOf(stores, "accounts", R"("orders", "account")");
  EXPECT_THAT(found.at("problems").dump(),
              HasSubstr("publishes {public.orders}, not all changes of "
                        "{public.account, public.orders}"));
}

TEST(CdcDoctor, TakesNoPublicationWithAColumnListAndEachOneWithout) {
  Stores stores;
  stores.AskPostgres(
      "ALTER TABLE orders ADD twice bigint GENERATED ALWAYS AS (id * 2) STORED;"
      "CREATE PUBLICATION indoubt FOR TABLE orders (id, account)");
  const Json listed = CdcOf(stores, "accounts", R"("orders")");
  EXPECT_THAT(listed.at("problems").dump(),
              HasSubstr("publishes {public.orders (only listed columns)}"));
  stores.AskPostgres("ALTER PUBLICATION indoubt SET TABLE orders");
  EXPECT_THAT(CdcOf(stores, "accounts", R"("orders")").at("problems"), IsEmpty());
  stores.AskPostgres("DROP TABLE account; DROP PUBLICATION indoubt");
  stores.AskPostgres("CREATE PUBLICATION indoubt FOR ALL TABLES");
  EXPECT_THAT(CdcOf(stores, "accounts", R"("orders")").at("problems"), IsEmpty());
}

TEST(CdcDoctor, SaysWhatIsMissingWhenTheLogsSlotIsGone) {
  CdcShop shop;
  shop.LoseSlot();
  const std::string tables = R"("orders", "account")";
  const Json stops = CdcOf(shop.stores(), "accounts", tables);
  EXPECT_THAT(stops.at("problems").dump(), HasSubstr("is gone: the changes from "));
  const Json copies =
      CdcOf(shop.stores(), "accounts", tables, "", "on_slot_loss = \"snapshot\"\n");
  EXPECT_THAT(copies.at("problems"), IsEmpty()) << copies;
  EXPECT_THAT(copies.at("warnings").dump(), HasSubstr("copy the tables again"));
}

TEST(CdcDoctor, WarnsThatARebuildHasNoRoomBesideTheWorkersSlot) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  const auto cdc = [&] { return CdcOf(shop.stores(), "accounts", R"("orders", "account")"); };
  EXPECT_THAT(cdc().at("warnings"), IsEmpty());
  shop.stores().AskPostgres(
      "SELECT pg_create_physical_replication_slot('other_' || n) FROM "
      "generate_series(1, current_setting('max_replication_slots')::int - 1) n");
  const Json found = cdc();
  EXPECT_THAT(found.at("problems"), IsEmpty()) << found;
  const int limit = std::stoi(shop.stores().AskPostgres("SHOW max_replication_slots"));
  EXPECT_THAT(found.at("warnings").dump(),
              AllOf(HasSubstr("none for a rebuild"),
                    HasSubstr(fmt::format("SET max_replication_slots = {},", limit + 1))));
}

TEST(CdcDoctor, FindsWhatTheWorkerWouldNotStartWith) {
  CdcShop shop("metrics = \"nowhere..invalid:9187\"\n");
  Ran ran = shop.stores().Indoubt({"doctor", "-c", shop.config_path()});
  EXPECT_TRUE(ran.Exited(3)) << ran.out << ran.err;
  EXPECT_THAT(ran.out,
              HasSubstr("problem: cdc.metrics: cannot serve metrics on nowhere..invalid"));
  const std::string config = ReadText(shop.config_path());
  std::ofstream(shop.config_path()) << config << "derivation = \"nonsense\"\n";
  ran = shop.stores().Indoubt({"doctor", "-c", shop.config_path()});
  EXPECT_TRUE(ran.Exited(2)) << ran.out << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("there is no derivation \"nonsense\""));
  std::string no_path = config;
  no_path.replace(no_path.find("events.db"), 9, "");
  std::ofstream(shop.config_path()) << no_path;
  ran = shop.stores().Indoubt({"doctor", "-c", shop.config_path()});
  EXPECT_TRUE(ran.Exited(2)) << ran.out << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("cdc.log.path: must name the event log's file"));
}

TEST(CdcDoctor, KnowsThatTheLogWasBegunWithAnotherSlot) {
  CdcShop shop;
  shop.StartWorker();
  const Json found =
      CdcOf(shop.stores(), "accounts", R"("orders", "account")", "", "", "another");
  EXPECT_THAT(found.at("problems").dump(), HasSubstr("was begun with slot"));
}

}  // namespace
}  // namespace indoubt::testing
