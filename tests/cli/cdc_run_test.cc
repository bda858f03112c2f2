// What `indoubt cdc run` tells on stderr while it runs.
#include <filesystem>

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/cli/cdc_shop.h"

namespace indoubt::testing {
namespace {

/// Until the shop's worker has said it; false when it does not.
bool Says(const CdcShop& shop, const std::string& text) {
  return Eventually([&] { return shop.worker_output().find(text) != std::string::npos; });
}

TEST(CdcRun, TellsThatTheLogCannotLetEventsGoAndWhenItCanAgain) {
  CdcShop shop;
  std::string config = ReadText(shop.config_path());
  const std::string log = "path = \"events.db\"";
  ASSERT_NE(config.find(log), std::string::npos);
  config.insert(config.find(log) + log.size(), ", retention_time = \"1h\"");
  std::ofstream(shop.config_path()) << config;
  // In the place of the file that its lock is taken on.
  const std::string hold = shop.stores().folder() + "/events.db.hold";
  std::filesystem::create_directory(hold);
  const auto worker = shop.StartWorker();
  EXPECT_TRUE(Says(shop, "indoubt: cdc: cdc retention: cannot lock " + hold))
      << shop.worker_output();
  std::filesystem::remove(hold);
  EXPECT_TRUE(Says(shop, "indoubt: cdc: the event log's retention is well again"))
      << shop.worker_output();
}

TEST(CdcRun, ASignalEndsItAtOnceWhileItWaitsForItsSlot) {
  CdcShop shop;
  Stores& stores = shop.stores();
  stores.AskPostgres(
      "BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'in the way of the slot'");
  const auto worker = shop.LaunchWorker();
  ASSERT_TRUE(Eventually([&] {
    return stores.AskPostgres(
               "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender' AND "
               "wait_event_type = 'Lock'") == "1";
  })) << shop.worker_output();
  worker->Signal(SIGTERM);
  const auto ended = worker->Wait(SystemClock().Now() + std::chrono::seconds(20));
  ASSERT_TRUE(ended) << "it waits on";
  EXPECT_FALSE(ended->by_signal);
  EXPECT_EQ(ended->code, 0) << shop.worker_output();
  EXPECT_TRUE(Says(shop, "the next `indoubt cdc run` goes on")) << shop.worker_output();
  stores.AskPostgres("ROLLBACK PREPARED 'in the way of the slot'");
  const auto next = shop.StartWorker();
  EXPECT_TRUE(Says(shop, "streaming"));
}

TEST(CdcRun, AStreamThatCannotBeFollowedIsTheEnvironmentAndNoUsageError) {
  CdcShop shop;
  const auto worker = shop.StartWorker();
  shop.stores().AskPostgres(
      "BEGIN; INSERT INTO orders VALUES (1, 7); ALTER TABLE orders ADD note text; INSERT INTO "
      "orders VALUES (2, 7, 'x'); PREPARE TRANSACTION 'two shapes'");
  const auto ended = worker->Wait(SystemClock().Now() + std::chrono::seconds(30));
  ASSERT_TRUE(ended && !ended->by_signal) << shop.worker_output();
  EXPECT_EQ(ended->code, 3);
  EXPECT_TRUE(Says(shop,
                   "changed its shape between two changes of prepared transaction \"two "
                   "shapes\""))
      << shop.worker_output();
  shop.stores().AskPostgres("ROLLBACK PREPARED 'two shapes'");
}

TEST(CdcRun, ASlotThatIsGoneIsTheEnvironmentAndNoUsageError) {
  CdcShop shop;
  shop.LoseSlot();
  const Ran ran = shop.Cdc({"run"});
  EXPECT_TRUE(ran.Exited(3)) << ran.err;
  EXPECT_NE(ran.err.find("is gone: the changes from "), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace indoubt::testing
