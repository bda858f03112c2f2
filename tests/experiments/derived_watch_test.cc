// Readers with tokens and cuts, and the slot's watcher, on real stores: a short run of cdc with
// a transaction that stays in doubt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/summary/summary.h"
#include "tests/experiments/run_fixture.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr char kShort[] = R"(name = "short"
[matrix]
paths = ["cdc"]
[load]
rate_per_s = 100
clients = 16
warmup = "500ms"
duration = "4s"
[workload]
token_reads = true
[[fault]]
at = "500ms"
kind = "in-doubt"
down = "2s"
)";

using DerivedWatchTest = RunTest;

TEST_F(DerivedWatchTest, AnInDoubtTransactionHoldsTheLogAndSlotsAndTokensKeepReadersRight) {
  const auto scenario = ParseScenario(kShort, "short.toml");
  ASSERT_TRUE(scenario) << scenario.error().ToString();
  const auto result = RunScenario(*scenario, options_);
  ASSERT_TRUE(result) << result.error().ToString();
  ASSERT_EQ(result->status, "done") << ReadJson(result->folder + "/run.json").dump(1);
  const auto summary = Summarise(result->folder);
  ASSERT_TRUE(summary) << summary.error().ToString();
  const json rep = summary->at("cells").at(0).at("reps").at(0);
  EXPECT_GT(rep.at("own_reads").at("with_token").at("reads"), 20) << summary->at("warnings");
  EXPECT_EQ(rep.at("own_reads").at("with_token").at("stale"), 0);
  EXPECT_GT(rep.at("own_reads").at("without_token").at("reads"), 20);
  EXPECT_GT(rep.at("pair_reads").at("with_cut").at("reads"), 20) << summary->at("warnings");
  EXPECT_EQ(rep.at("pair_reads").at("with_cut").at("fractured"), 0);

  // Whoever makes a slot meanwhile waits until the transaction is decided.
  EXPECT_GE(rep.at("slot_wait_ms").at("max"), 1000) << rep.at("slot_wait_ms");
  bool in_doubt = false;
  for (const json& look : rep.at("retained_wal_series")) {
    in_doubt = in_doubt || look.at("prepared") > 0;
  }
  EXPECT_TRUE(in_doubt) << rep.at("retained_wal_series");
  EXPECT_GT(rep.at("retained_wal_bytes").at("max"), 0);
  EXPECT_EQ(rep.at("inconsistent").at("permanent"), 0);
  EXPECT_EQ(rep.at("leftovers"), 0);
}

}  // namespace
}  // namespace indoubt
