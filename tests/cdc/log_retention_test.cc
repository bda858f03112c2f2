// What may leave the event log, what stays, and what the log then says of itself.
#include <algorithm>
#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cdc/log/log_glance.h"
#include "cdc/log/log_hold.h"
#include "cdc/log/log_keeper.h"
#include "tests/cdc/event_log_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using cdc_internal::LogGlance;
using cdc_internal::LogHold;
using cdc_internal::PassedByAll;
using cdc_internal::ViewPassed;
using ::testing::HasSubstr;

events::Transaction At(uint64_t lsn, int64_t micros = 0, size_t bytes = 0) {
  events::Transaction transaction;
  transaction.set_commit_end_lsn(lsn);
  transaction.set_xid(static_cast<uint32_t>(lsn));
  transaction.set_commit_micros(micros);
  if (bytes > 0) transaction.set_gid(std::string(bytes, 'x'));
  return transaction;
}

using Xids = std::vector<uint32_t>;

class LogRetentionTest : public EventLogFixture {
 protected:
  /// Events at `lsn`, `lsn` + 10, ..., committed at second 1, 2, ...
  void AppendTens(int count, size_t bytes = 0) {
    std::vector<HeldTransaction> batch;
    for (int i = 0; i < count; ++i) {
      ++appended_;
      batch.push_back(At(10 * static_cast<uint64_t>(appended_), appended_, bytes));
    }
    ASSERT_TRUE(log_->Append(std::move(batch)).ok());
  }
  void RemoveAll(const Removal& removal) {
    for (bool more = true; more;) {
      const auto removed = log_->RemoveOldest(removal);
      ASSERT_TRUE(removed) << removed.error().ToString();
      more = *removed;
    }
  }
  Result<std::vector<uint32_t>> XidsAfter(uint64_t lsn) const {
    INDOUBT_ASSIGN_OR_RETURN(const auto reader, log_->NewReader());
    INDOUBT_ASSIGN_OR_RETURN(const auto events,
                             reader->Read({Lsn{lsn}, 0}, 100'000, size_t{1} << 30));
    std::vector<uint32_t> xids;
    for (const LoggedEvent& event : events) xids.push_back(event.transaction->xid());
    return xids;
  }
  uint64_t UsedBytes() const {
    auto glance = LogGlance::Open(path_);
    EXPECT_TRUE(glance);
    return glance ? glance->UsedBytes().value_or(0) : 0;
  }

  int appended_ = 0;
};

TEST_F(LogRetentionTest, WhatIsOlderGoesUpToWhatEveryViewHas) {
  AppendTens(9);
  RemoveAll({.up_to = {Lsn{90}, 0}, .committed_before = 4});
  EXPECT_EQ(log_->begin(), (LogBegin{{Lsn{30}, 0}, 3}));
  RemoveAll({.up_to = {Lsn{50}, 0}, .committed_before = 9});
  EXPECT_EQ(log_->begin(), (LogBegin{{Lsn{50}, 0}, 5}));
  EXPECT_EQ(XidsAfter(50).value_or(Xids{}), std::vector<uint32_t>({60, 70, 80, 90}));
  RemoveAll({.up_to = {Lsn{90}, 0}});  // no limit, no removal
  EXPECT_EQ(log_->begin().removed_sequence, 5u);
}

TEST_F(LogRetentionTest, AReaderWhoWouldMissSomethingIsToldFromWhereTheLogIsComplete) {
  AppendTens(9);
  RemoveAll({.up_to = {Lsn{50}, 0}, .committed_before = 9});
  for (const uint64_t behind : {0u, 10u, 49u}) {
    const auto read = XidsAfter(behind);
    ASSERT_FALSE(read) << behind;
    EXPECT_EQ(read.error().code(), StatusCode::kNotFound);
    EXPECT_THAT(read.error().message(), HasSubstr("0/32"));
  }
  Reopen();
  EXPECT_FALSE(XidsAfter(49));
  EXPECT_EQ(XidsAfter(85).value_or(Xids{}), std::vector<uint32_t>({90}));
}

TEST_F(LogRetentionTest, TheLastEventStaysAndNumbersGoOnAfterAReopening) {
  AppendTens(4);
  RemoveAll({.up_to = {Lsn{40}, 0}, .committed_before = 100});
  EXPECT_EQ(log_->begin().removed_sequence, 3u);
  const LogEnd end = log_->end();
  Reopen();
  EXPECT_EQ(log_->end(), end);
  EXPECT_EQ(log_->begin(), (LogBegin{{Lsn{30}, 0}, 3}));
  AppendTens(1);
  EXPECT_EQ(log_->end().last_sequence, 5u);
  const auto reader = log_->NewReader();
  ASSERT_TRUE(reader);
  for (const auto& [lsn, sequence] :
       std::map<uint64_t, uint64_t>{{30, 3}, {39, 3}, {40, 4}, {50, 5}, {99, 5}}) {
    EXPECT_EQ((*reader)->SequenceAt({Lsn{lsn}, 0}).value_or(0), sequence) << lsn;
  }
}

TEST_F(LogRetentionTest, TheFileIsHeldToItsSizeInStepsAndItsSpaceIsUsedAgainOrGivenBack) {
  constexpr size_t kBytes = 20'000;
  constexpr uint64_t kLimit = uint64_t{4} << 20;
  AppendTens(2000, kBytes);
  const auto large = std::filesystem::file_size(path_);
  const auto step = log_->RemoveOldest({.up_to = log_->end().last, .above_bytes = kLimit});
  ASSERT_TRUE(step);
  EXPECT_TRUE(*step);
  EXPECT_LE(log_->begin().removed_sequence, 1'000'000 / kBytes + 3) << "one step took all";
  RemoveAll({.up_to = log_->end().last, .above_bytes = kLimit});
  EXPECT_LE(UsedBytes(), kLimit);
  EXPECT_GE(UsedBytes(), kLimit - (kLimit >> 3)) << "it keeps what it may";
  int steps = 0;
  for (bool more = true; more; ++steps) {
    const auto given = log_->GiveSpaceBack();
    ASSERT_TRUE(given) << given.error().ToString();
    more = *given;
  }
  EXPECT_GT(steps, 3);
  Reopen();  // the last to leave the file writes its journal into it
  EXPECT_LT(std::filesystem::file_size(path_), large * 3 / 5);
  const auto from = log_->begin().removed.lsn.value;
  EXPECT_EQ(XidsAfter(from).value_or(Xids{}).size(), 2000 - log_->begin().removed_sequence);
}

TEST_F(LogRetentionTest, OutcomesGoWithTheEventsBesideThemAndStagedTransactionsStay) {
  const auto two_phase = [](uint64_t lsn, const char* gid, events::Transaction::Phase phase) {
    events::Transaction transaction = At(lsn, 1);
    transaction.set_gid(gid);
    transaction.set_phase(phase);
    if (phase == events::Transaction::PREPARED) transaction.add_changes();
    return transaction;
  };
  using events::Transaction;
  ASSERT_TRUE(log_->Append({two_phase(10, "a", Transaction::PREPARED),
                            two_phase(20, "late", Transaction::PREPARED),
                            two_phase(30, "a", Transaction::COMMIT_PREPARED),
                            two_phase(40, "b", Transaction::PREPARED),
                            two_phase(50, "b", Transaction::ROLLBACK_PREPARED), At(60, 1),
                            two_phase(70, "c", Transaction::ROLLBACK_PREPARED), At(80, 1)})
                  .ok());
  EXPECT_EQ(ReadStreamRecord(path_).value_or(StreamRecord{}).from, Lsn{0});
  RemoveAll({.up_to = {Lsn{80}, 0}, .committed_before = 2});
  const auto record = ReadStreamRecord(path_);
  ASSERT_TRUE(record) << record.error().ToString();
  EXPECT_EQ(record->from, Lsn{60});
  std::vector<std::string> gids;
  for (const StreamOutcome& outcome : record->outcomes) gids.push_back(outcome.gid);
  EXPECT_THAT(gids, ::testing::UnorderedElementsAre("late", "c"));
  ASSERT_TRUE(log_->Append({two_phase(90, "late", Transaction::COMMIT_PREPARED)}).ok());
  EXPECT_EQ(log_->end().last, (EventPosition{Lsn{90}, 0}));
}

TEST_F(LogRetentionTest, ALogBegunAnewHasItsBeginningAgain) {
  AppendTens(4);
  RemoveAll({.up_to = {Lsn{40}, 0}, .committed_before = 100});
  ASSERT_TRUE(log_->Restart().ok());
  EXPECT_EQ(log_->begin(), LogBegin{});
  Reopen();
  EXPECT_EQ(log_->begin(), LogBegin{});
}

TEST(LogKeeper, KeepsWhatAViewHasNotPassedAndEverythingForOneThatIsNotKnown) {
  const ViewPassed behind{ViewPassed::State::kAt, {Lsn{10}, 0}};
  const ViewPassed ahead{ViewPassed::State::kAt, {Lsn{20}, 0}};
  const ViewPassed unknown{ViewPassed::State::kUnknown, {}};
  const ViewPassed copying{ViewPassed::State::kCopying, {}};
  const EventPosition end{Lsn{30}, 0};
  EXPECT_EQ(PassedByAll({ahead, behind}, OnViewLag::kHold, end), behind.at);
  EXPECT_EQ(PassedByAll({ahead, unknown}, OnViewLag::kHold, end), std::nullopt);
  EXPECT_EQ(PassedByAll({ahead, copying}, OnViewLag::kHold, end), std::nullopt);
  EXPECT_EQ(PassedByAll({ahead, behind, unknown}, OnViewLag::kStop, end), end);
  EXPECT_EQ(PassedByAll({ahead, copying}, OnViewLag::kStop, end), std::nullopt);
}

TEST_F(LogRetentionTest, AppendsGoOnWhileTheKeeperRemoves) {
  AppendTens(20'000, 500);
  const auto append = [&](int count) {
    std::vector<double> took;
    for (int i = 0; i < count; ++i) {
      const TimePoint begun = SystemClock().Now();
      AppendTens(1, 500);
      took.push_back(
          std::chrono::duration<double, std::milli>(SystemClock().Now() - begun).count());
    }
    std::sort(took.begin(), took.end());
    return took;
  };
  const auto alone = append(100);
  cdc_internal::StopSignal stop;
  RetentionOptions retention;
  retention.bytes = 1 << 20;
  std::vector<double> beside;
  {
    cdc_internal::LogKeeper keeper(
        retention, path_,
        [&] {
          return std::vector<ViewPassed>{{ViewPassed::State::kAt, log_->end().last}};
        },
        *log_, stop);
    beside = append(100);
    EXPECT_TRUE(Eventually([&] { return log_->begin().removed_sequence > 17'000; }))
        << keeper.health().ToString();
    stop.Set();
  }
  fmt::print(
      "append, ms: alone p50 {:.2f} max {:.2f}; beside a removal p50 {:.2f} p99 {:.2f} max "
      "{:.2f}\n",
      alone[50], alone.back(), beside[50], beside[98], beside.back());
  EXPECT_LT(beside.back(), 1000) << "held up for longer than a step takes";
}

TEST(LogHold, ReadersShareTheLogAndKeepTheRemovalAway) {
  const ScratchFolder folder("indoubt-hold");
  const std::string path = folder.path() + "/events.db";
  {
    const auto one = LogHold::Share(path);
    const auto other = LogHold::Share(path);
    ASSERT_TRUE(one && other);
    const auto alone = LogHold::TryExclude(path);
    ASSERT_TRUE(alone);
    EXPECT_EQ(*alone, nullptr);
  }
  const auto alone = LogHold::TryExclude(path);
  ASSERT_TRUE(alone);
  EXPECT_NE(*alone, nullptr);
}

TEST(LogHold, WhoLooksSeesThoseThatShareAndNotTheRemovalAndLeavesNothing) {
  const ScratchFolder folder("indoubt-hold");
  const std::string path = folder.path() + "/events.db";
  const auto is_shared = [&] {
    const auto shared = LogHold::IsShared(path);
    EXPECT_TRUE(shared) << shared.status().ToString();
    return shared && *shared;
  };
  EXPECT_FALSE(is_shared());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  {
    const auto one = LogHold::Share(path);
    ASSERT_TRUE(one);
    EXPECT_TRUE(is_shared());
    EXPECT_TRUE(LogHold::Share(path)) << "the look is over";
  }
  const auto alone = LogHold::TryExclude(path);
  ASSERT_TRUE(alone && *alone);
  EXPECT_FALSE(is_shared());
}

}  // namespace
}  // namespace indoubt
