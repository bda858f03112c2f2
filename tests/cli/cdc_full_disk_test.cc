// The disk of the event log is full: the worker and `indoubt cdc status` say so, and with room
// again everything comes in.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/cli/cdc_shop.h"
#include "tests/support/small_disk.h"

namespace indoubt::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

TEST(CdcFullDisk, IsNamedByWorkerAndStatusAndNothingIsMissingAfterwards) {
  const Status own = EnterOwnMounts();
  ASSERT_TRUE(own.ok()) << own.ToString();
  CdcShop shop;
  const std::string folder = shop.stores().folder() + "/small", filler = folder + "/filler";
  std::filesystem::create_directory(folder);
  const SmallDisk disk(folder, 16 << 20);
  std::string config = ReadText(shop.config_path());
  config.replace(config.find("events.db"), 9, "small/events.db");
  std::ofstream(shop.config_path()) << config;
  const auto order = [&](int from, int to) {
    shop.stores().AskPostgres(
        fmt::format("INSERT INTO orders SELECT n, 7 FROM generate_series({}, {}) n", from, to));
  };
  const auto worker = shop.StartWorker();
  order(1, 1);
  ASSERT_TRUE(shop.ShowOrder(1)) << shop.worker_output();
  FillUp(filler);
  order(2, 20000);
  EXPECT_TRUE(Eventually([&] {
    return shop.worker_output().find("disk is full") != std::string::npos;
  })) << shop.worker_output();
  const Ran full = shop.Cdc({"status", "--json", "--sample", "0s"});
  EXPECT_TRUE(full.Exited(3)) << full.err;
  const Json log = Json::parse(full.out)["log"];
  EXPECT_THAT(std::string(log["problem"]["message"]), HasSubstr("its disk is full")) << log;
  EXPECT_LT(log["free_bytes"], 1 << 20);
  std::filesystem::remove(filler);
  EXPECT_TRUE(shop.ShowOrder(20000)) << shop.worker_output();
  EXPECT_TRUE(shop.Cdc({"status", "--sample", "0s"}).Exited(0));
}

}  // namespace
}  // namespace indoubt::testing
