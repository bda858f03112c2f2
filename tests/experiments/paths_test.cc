// Every path against real stores: commits, dies where it is told to, and leaves
// behind what its promise says.
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/final_state.h"
#include "experiments/paths/path.h"
#include "experiments/stores/store_clients.h"
#include "faults/servers.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

constexpr auto kLimit = std::chrono::seconds(30);

/// PostgreSQL and Redis for all tests of this program; each test has its own tables.
class Servers : public testing::Environment {
 public:
  void SetUp() override {
    folder_ = std::make_unique<ScratchFolder>("indoubt-paths-test");
    auto postgres = PostgresServer::Start(folder_->path());
    ASSERT_TRUE(postgres) << postgres.error().ToString();
    postgres_ = std::move(*postgres);
    auto redis = RedisServer::Start(folder_->path());
    ASSERT_TRUE(redis) << redis.error().ToString();
    redis_ = std::move(*redis);
  }
  void TearDown() override {
    redis_.reset();
    postgres_.reset();
    folder_.reset();
  }
  StoreEndpoints Endpoints(const std::string& folder) const {
    return {postgres_->dsn(), redis_->uri(), folder + "/ledger.db"};
  }

 private:
  std::unique_ptr<ScratchFolder> folder_;
  std::unique_ptr<PostgresServer> postgres_;
  std::unique_ptr<RedisServer> redis_;
};

// Google Test owns it.
Servers* const servers = static_cast<Servers*>(testing::AddGlobalTestEnvironment(new Servers));

class PathTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    ShopOptions options;
    options.accounts = 50;
    options.items = 50;
    options.zipf = 0;
    shop_.emplace(options);
    const char* binary = std::getenv("INDOUBT_BINARY");
    ASSERT_NE(binary, nullptr) << "ctest sets INDOUBT_BINARY";
    context_.binary = binary;
    context_.stores = servers->Endpoints(folder_.path());
    context_.scratch = context_.log_folder = folder_.path();
    context_.clients = 8;
    const Status made = shop_->SetUp(context_.stores);
    ASSERT_TRUE(made.ok()) << made.ToString();
  }

  void Start(const std::string& name, const std::string& strike_point = "") {
    context_.strike_point = strike_point;
    path_ = std::move(MakePath(name)).value();
    const Status started = path_->Start(context_);
    ASSERT_TRUE(started.ok()) << name << ": " << started.ToString();
  }

  /// One operation to its end.
  TransactionOutcome Do(uint64_t i) {
    const Operation operation = shop_->At(i);
    // Shared, as a late answer may come after this has given up.
    const auto answer = std::make_shared<std::promise<TransactionOutcome>>();
    path_->Submit(
        shop_->Compile(operation, path_->placement()),
        [answer](TransactionOutcome outcome) { answer->set_value(std::move(outcome)); });
    auto future = answer->get_future();
    const bool answered = future.wait_for(kLimit) == std::future_status::ready;
    EXPECT_TRUE(answered) << "operation " << i << " was not answered";
    TransactionOutcome outcome;  // in doubt
    if (answered) outcome = future.get();
    told_.push_back({operation, outcome.outcome == Outcome::kCommitted    ? Told::kCommitted
                                : outcome.outcome == Outcome::kRolledBack ? Told::kRolledBack
                                                                          : Told::kUnknown});
    return outcome;
  }

  void AwaitDeath() {
    ASSERT_TRUE(Eventually([&] { return path_->StruckAt().has_value(); }, kLimit))
        << "the victim did not die";
  }

  /// An order's operation number at or after `i`.
  uint64_t OrderFrom(uint64_t i) const {
    while (shop_->At(i).kind != OperationKind::kPlaceOrder) ++i;
    return i;
  }

  /// One order commits; the next, whose operation number it returns, meets the death.
  uint64_t CommitOneAndDieInTheNext() {
    const uint64_t first = OrderFrom(0);
    EXPECT_EQ(Do(first).outcome, Outcome::kCommitted);
    const Status armed = path_->Strike();
    EXPECT_TRUE(armed.ok()) << armed.ToString();
    const uint64_t second = OrderFrom(first + 1);
    EXPECT_EQ(Do(second).outcome, Outcome::kInDoubt);
    AwaitDeath();
    return second;
  }

  FinalComparison DrainAndCompare() {
    const Status drained = path_->Drain(SystemClock().Now() + kLimit);
    EXPECT_TRUE(drained.ok()) << drained.ToString();
    const auto again = path_->RecoverAgain();
    EXPECT_TRUE(again) << again.status().ToString();
    if (again && *again) {
      EXPECT_TRUE(**again) << "a second recovery changed something";
    }
    auto comparison = shop_->Compare(context_.stores, told_);
    EXPECT_TRUE(comparison) << comparison.status().ToString();
    const auto leftovers = CountLeftovers(context_.stores);
    EXPECT_TRUE(leftovers) << leftovers.status().ToString();
    for (const auto& [what, count] : leftovers->items()) EXPECT_EQ(count, 0) << what;
    EXPECT_THAT(FindUnwritable(context_.stores).value(), testing::IsEmpty());
    path_->Stop();
    return comparison.value_or(FinalComparison{});
  }

  ScratchFolder folder_{"indoubt-path-test"};
  std::optional<Shop> shop_;
  PathContext context_;
  std::vector<ToldOperation> told_;
  std::unique_ptr<Path> path_;  // before the folder that its processes use
};

TEST_P(PathTest, WhatItCommitsIsInEveryStore) {
  Start(GetParam());
  for (uint64_t i = 0; i < 20; ++i) {
    const TransactionOutcome outcome = Do(i);
    EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome.reason;
  }
  const FinalComparison comparison = DrainAndCompare();
  EXPECT_GT(comparison.orders, 10);
  EXPECT_EQ(comparison.stock, 50);
  EXPECT_THAT(comparison.inconsistent, testing::IsEmpty());
  EXPECT_THAT(comparison.lost_acknowledged, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, PathTest, testing::ValuesIn(PathNames()), [](const auto& tested) {
  std::string name = "Path" + tested.param;
  std::erase(name, '-');
  return name;
});

TEST_F(PathTest, CoordinatorKilledAfterTheVotesLeavesNothingAfterItsRestart) {
  Start("2pc", "voted@ledger");
  const uint64_t second = CommitOneAndDieInTheNext();
  ASSERT_FALSE(HasFatalFailure());
  const auto in_doubt = CountLeftovers(context_.stores);
  ASSERT_TRUE(in_doubt) << in_doubt.status().ToString();
  EXPECT_EQ((*in_doubt)["pg_prepared_xacts"], 1);
  EXPECT_EQ((*in_doubt)["redis_intents"], 1);
  EXPECT_EQ((*in_doubt)["sqlite_staged"], 1);
  EXPECT_FALSE(FindUnwritable(context_.stores).value().empty());
  const TransactionOutcome refused = Do(OrderFrom(second + 1));
  EXPECT_EQ(refused.outcome, Outcome::kRolledBack);
  EXPECT_EQ(refused.code, StatusCode::kUnavailable);
  ASSERT_TRUE(path_->Restart("").ok());
  const FinalComparison comparison = DrainAndCompare();
  EXPECT_EQ(comparison.orders, 1);  // presumed abort
  EXPECT_THAT(comparison.inconsistent, testing::IsEmpty());
  EXPECT_THAT(comparison.resurrected, testing::IsEmpty());
}

TEST_F(PathTest, CdcWorkerKilledBeforeItAppliedCatchesUp) {
  Start("cdc", "cdc_appended");
  EXPECT_EQ(Do(OrderFrom(0)).outcome, Outcome::kCommitted);
  ASSERT_TRUE(path_->Strike().ok());
  EXPECT_EQ(Do(OrderFrom(20)).outcome, Outcome::kCommitted);
  AwaitDeath();
  EXPECT_EQ(Do(OrderFrom(40)).outcome, Outcome::kCommitted);  // the source does not wait
  const auto behind = shop_->Compare(context_.stores, told_);
  ASSERT_TRUE(behind) << behind.status().ToString();
  EXPECT_FALSE(behind->inconsistent.empty());
  ASSERT_TRUE(path_->Restart("").ok());
  const FinalComparison comparison = DrainAndCompare();
  EXPECT_EQ(comparison.orders, 3);
  EXPECT_THAT(comparison.inconsistent, testing::IsEmpty());
}

TEST_F(PathTest, CdcWorkerThatAppliesAChangeTwiceIsNotIdempotent) {
  Start("cdc");
  const auto redis = RedisClient::Connect(context_.stores.redis_uri);
  ASSERT_TRUE(redis) << redis.error().ToString();
  const uint64_t first = OrderFrom(0);
  EXPECT_EQ(Do(first).outcome, Outcome::kCommitted);
  ASSERT_TRUE(path_->Drain(SystemClock().Now() + kLimit).ok());
  const auto keys = (*redis)->Keys("indoubt:cdc:position:lab_*");
  ASSERT_TRUE(keys) << keys.error().ToString();
  ASSERT_EQ(keys->size(), 1u);
  const auto position = (*redis)->Get(*keys);
  ASSERT_TRUE(position && position->at(0));
  EXPECT_EQ(Do(OrderFrom(first + 1)).outcome, Outcome::kCommitted);
  ASSERT_TRUE(path_->Drain(SystemClock().Now() + kLimit).ok());
  const auto quiet = path_->RecoverAgain();
  ASSERT_TRUE(quiet && *quiet) << quiet.status().ToString();
  EXPECT_TRUE(**quiet);
  // What a view that moved its position apart from its data would leave behind.
  ASSERT_TRUE((*redis)->Run({"SET", keys->at(0), *position->at(0)}));
  const auto again = path_->RecoverAgain();
  ASSERT_TRUE(again && *again) << again.status().ToString();
  EXPECT_FALSE(**again);
  path_->Stop();
}

TEST_F(PathTest, DualWriteClientKilledBetweenTwoStoresLeavesThemApart) {
  Start("dual-write", "dual_write_first@ledger");
  const uint64_t second = CommitOneAndDieInTheNext();
  ASSERT_FALSE(HasFatalFailure());
  ASSERT_TRUE(path_->Restart("").ok());
  EXPECT_EQ(Do(OrderFrom(second + 1)).outcome, Outcome::kCommitted);
  const FinalComparison comparison = DrainAndCompare();
  EXPECT_EQ(comparison.orders, 3);
  std::vector<std::string> apart;
  for (const InconsistentKey& key : comparison.inconsistent) apart.push_back(key.key);
  EXPECT_THAT(apart, testing::Contains("order:" + std::to_string(shop_->At(second).order)));
  EXPECT_THAT(apart, testing::Contains("stock:" + std::to_string(shop_->At(second).item)));
}

TEST(PathNames, UnknownPathIsRefusedWithTheKnownOnes) {
  const auto path = MakePath("3pc");
  ASSERT_FALSE(path);
  EXPECT_THAT(path.error().message(), testing::HasSubstr("2pc-embedded"));
}

}  // namespace
}  // namespace indoubt
