#include "experiments/load_generator.h"

#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "faults/process.h"

namespace indoubt {
namespace {

/// Answers at once, or keeps the callbacks.
class FakePath final : public Path {
 public:
  bool answer = true;
  TransactionOutcome outcome;

  const std::string& name() const override { return name_; }
  Placement placement() const override { return Placement::kEverywhere; }
  std::string victim() const override { return ""; }
  Status Start(const PathContext&) override { return Status::Ok(); }
  void Submit(TransactionRequest, OutcomeCallback done) override {
    if (answer) return done(outcome);
    std::lock_guard lock(mutex_);
    kept_.push_back(std::move(done));
  }
  Status Strike() override { return Status::Ok(); }
  std::optional<TimePoint> StruckAt() override { return std::nullopt; }
  Status Restart(const std::string&) override { return Status::Ok(); }
  Status Drain(TimePoint) override { return Status::Ok(); }
  Result<std::optional<bool>> RecoverAgain() override { return std::optional<bool>(); }
  void Stop() override {}

  size_t kept() {
    std::lock_guard lock(mutex_);
    return kept_.size();
  }
  void AnswerKept() {
    std::lock_guard lock(mutex_);
    for (auto& done : kept_) done(outcome);
    kept_.clear();
  }

 private:
  const std::string name_ = "fake";
  std::mutex mutex_;
  std::vector<OutcomeCallback> kept_;  // guarded by mutex_
};

class LoadGeneratorTest : public testing::Test {
 protected:
  LoadGeneratorTest() : shop_(ShopOptions{}) {
    path_.outcome.outcome = Outcome::kCommitted;
    plan_.rate_per_s = 2000;
    plan_.clients = 4;
    plan_.warmup = std::chrono::milliseconds(50);
    plan_.duration = std::chrono::milliseconds(150);
    ops_ = std::move(NdjsonFile::Create(folder_.path() + "/ops.ndjson")).value();
    load_ = std::make_unique<LoadGenerator>(shop_, path_, plan_, *ops_, recent_,
                                            [this](int64_t, TimePoint) { ++committed_; });
  }

  void Remake() {
    load_ = std::make_unique<LoadGenerator>(shop_, path_, plan_, *ops_, recent_,
                                            [this](int64_t, TimePoint) { ++committed_; });
  }

  void Start() {
    times_.warmup_from = SystemClock().Now();
    times_.measure_from = times_.warmup_from + plan_.warmup;
    times_.measure_to = times_.measure_from + plan_.duration;
    load_->Start(times_);
  }

  void AwaitEnd() {
    while (SystemClock().Now() < times_.measure_to) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  void AwaitKept(size_t count) {
    const TimePoint deadline = SystemClock().Now() + std::chrono::seconds(30);
    while (path_.kept() < count && SystemClock().Now() < deadline) std::this_thread::yield();
    ASSERT_EQ(path_.kept(), count) << "operations that were submitted and not answered";
  }

  std::vector<nlohmann::json> Lines() {
    EXPECT_TRUE(ops_->Close().ok());
    std::vector<nlohmann::json> lines;
    std::ifstream file(folder_.path() + "/ops.ndjson");
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }

  ScratchFolder folder_{"indoubt-load-test"};
  const Shop shop_;
  FakePath path_;
  LoadPlan plan_;
  LoadTimes times_;
  RecentOrders recent_;
  std::atomic<int> committed_{0};
  std::unique_ptr<NdjsonFile> ops_;
  std::unique_ptr<LoadGenerator> load_;
};

TEST_F(LoadGeneratorTest, OpenLoopOffersTheWholeScheduleWithItsPhases) {
  Start();
  AwaitEnd();
  const auto told = load_->Finish();
  const auto lines = Lines();
  std::map<std::string, int> phases;
  int orders = 0;
  for (const auto& line : lines) {
    ++phases[line["phase"]];
    EXPECT_EQ(line["outcome"], "committed");
    EXPECT_LE(line["intended_ns"].get<int64_t>(), line["started_ns"].get<int64_t>());
    EXPECT_LE(line["started_ns"].get<int64_t>(), line["ended_ns"].get<int64_t>());
    EXPECT_EQ(line["order"].is_null(), line["op"] == "set_price");
    if (!line["order"].is_null()) ++orders;
  }
  EXPECT_GT(phases["warmup"], 0);
  EXPECT_GT(phases["measure"], phases["warmup"]);
  EXPECT_EQ(told.size(), lines.size());
  EXPECT_EQ(committed_, orders);
}

TEST_F(LoadGeneratorTest, AtTheBoundOperationsAreDroppedAndTheUnansweredCensored) {
  path_.answer = false;
  Start();
  AwaitEnd();
  EXPECT_EQ(path_.kept(), 4u);
  EXPECT_EQ(load_->counts().in_flight, 4);
  const auto told = load_->Finish();
  path_.AnswerKept();  // too late to count
  std::map<std::string, int> outcomes;
  for (const auto& line : Lines()) {
    const std::string outcome = line["outcome"];
    ++outcomes[outcome];
    EXPECT_EQ(line["started_ns"].is_null(), outcome == "dropped");
    EXPECT_TRUE(line["ended_ns"].is_null());
  }
  EXPECT_EQ(outcomes["censored"], 4);
  EXPECT_GT(outcomes["dropped"], 0);
  EXPECT_EQ(outcomes.size(), 2u);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].told, Told::kUnknown);
  EXPECT_EQ(committed_, 0);
}

TEST_F(LoadGeneratorTest, ClosedLoopKeepsItsClientsBusyAndStartsWhenIntended) {
  plan_.mode = LoadMode::kClosed;
  path_.answer = false;
  Remake();
  Start();
  ASSERT_NO_FATAL_FAILURE(AwaitKept(4));
  path_.AnswerKept();
  ASSERT_NO_FATAL_FAILURE(AwaitKept(4));
  AwaitEnd();
  EXPECT_EQ(path_.kept(), 4u);
  load_->Finish();
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 8u);
  for (const auto& line : lines) EXPECT_EQ(line["intended_ns"], line["started_ns"]);
}

TEST_F(LoadGeneratorTest, ARefusalIsFailedAndALostReplyUnknown) {
  path_.outcome.outcome = Outcome::kRolledBack;
  path_.outcome.code = StatusCode::kUnavailable;
  path_.outcome.reason = "nobody there";
  plan_.mode = LoadMode::kClosed;
  Remake();
  Start();
  AwaitEnd();
  for (const auto& told : load_->Finish()) EXPECT_EQ(told.told, Told::kRolledBack);
  const auto lines = Lines();
  ASSERT_FALSE(lines.empty());
  for (const auto& line : lines) {
    EXPECT_EQ(line["outcome"], "failed");
    EXPECT_EQ(line["reason"], "nobody there");
  }
  // A refused client waits a moment before the next try.
  EXPECT_LE(lines.size(), 25u);
  EXPECT_FALSE(recent_.Pick(1));
}

}  // namespace
}  // namespace indoubt
