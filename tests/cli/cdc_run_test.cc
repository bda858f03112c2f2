// What `indoubt cdc run` tells on stderr while it runs.
#include <filesystem>

#include <gtest/gtest.h>

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

TEST(CdcRun, ASlotThatIsGoneIsTheEnvironmentAndNoUsageError) {
  CdcShop shop;
  shop.LoseSlot();
  const Ran ran = shop.Cdc({"run"});
  EXPECT_TRUE(ran.Exited(3)) << ran.err;
  EXPECT_NE(ran.err.find("is gone: the changes from "), std::string::npos) << ran.err;
}

}  // namespace
}  // namespace indoubt::testing
