// A run in which atomicity is broken on purpose, as a coordinator with a bug would break
// it: the run must say so, whatever else it has to say.
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/stores/store_clients.h"
#include "faults/process.h"
#include "faults/servers.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

constexpr const char* kScenario = R"(name = "planted"
question = "Does the run notice?"
[matrix]
paths = ["2pc"]
[load]
mode = "closed"
clients = 4
warmup = "200ms"
duration = "3s"
[workload]
set_price_share = 0.0
[[expect]]
check = "2pc.throughput_per_s > 1000000"
)";

class PlantedBugTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* binary = std::getenv("INDOUBT_BINARY");
    ASSERT_NE(binary, nullptr) << "ctest sets INDOUBT_BINARY";
    binary_ = binary;
    auto redis = RedisServer::Start(folder_.path());
    ASSERT_TRUE(redis) << redis.status().ToString();
    redis_ = std::move(*redis);
    std::ofstream(folder_.path() + "/planted.toml") << kScenario;
  }
  std::unique_ptr<Process> StartRun() {
    ProcessSpec spec;
    spec.argv = {binary_,   "run",   folder_.path() + "/planted.toml", "--redis", redis_->uri(),
                 "--quiet", "--out", folder_.path() + "/runs"};
    spec.output_path = folder_.path() + "/output";
    auto process = Process::Start(spec);
    EXPECT_TRUE(process) << process.status().ToString();
    return process ? std::move(*process) : nullptr;
  }
  std::string Output() const {
    std::ifstream in(folder_.path() + "/output");
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static int ExitCode(Process& run) {
    const auto end = run.Wait(SystemClock().Now() + std::chrono::seconds(90));
    return end && !end->by_signal ? end->code : -1;
  }

  std::string binary_;
  ScratchFolder folder_{"indoubt-planted-test"};
  std::unique_ptr<RedisServer> redis_;
};

TEST_F(PlantedBugTest, OneStoreWithoutACommittedOrderIsElevenAndWinsOverAFailedExpectation) {
  const auto run = StartRun();
  ASSERT_NE(run, nullptr);
  auto client = RedisClient::Connect(redis_->uri());
  ASSERT_TRUE(client) << client.status().ToString();
  std::string taken;  // of an order that was long applied when ten more are there
  ASSERT_TRUE(Eventually([&] {
    const auto keys = (*client)->Keys("reserved:*");
    if (!keys || keys->size() < 10) return false;
    taken = keys->front();
    return true;
  })) << Output();
  ASSERT_TRUE((*client)->Run({"DEL", taken}));
  EXPECT_EQ(ExitCode(*run), 11) << Output();
  EXPECT_THAT(Output(),
              HasSubstr("CORRECTNESS VIOLATED: 2pc repetition 1: 1 key(s) inconsistent"));
  EXPECT_THAT(Output(), HasSubstr("acknowledged commit(s) lost"));
}

TEST_F(PlantedBugTest, WithoutTheBugTheSameRunFailsItsExpectationOnly) {
  const auto run = StartRun();
  ASSERT_NE(run, nullptr);
  EXPECT_EQ(ExitCode(*run), 10) << Output();
}

}  // namespace
}  // namespace indoubt
