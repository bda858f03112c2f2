#include "cdc/log/recent_events.h"

#include <gtest/gtest.h>

namespace indoubt::cdc_internal {
namespace {

std::vector<LoggedEvent> Events(uint64_t first, uint64_t count) {
  std::vector<LoggedEvent> events;
  for (uint64_t sequence = first; sequence < first + count; ++sequence) {
    LoggedEvent event;
    event.position = {Lsn{10 * sequence}, 0};
    event.sequence = sequence;
    event.transaction->set_xid(static_cast<uint32_t>(sequence));
    events.push_back(std::move(event));
  }
  return events;
}

EventPosition At(uint64_t lsn) { return {Lsn{lsn}, 0}; }

TEST(RecentEventsTest, GivesWhatFollowsOnAPositionAndNothingElse) {
  RecentEvents recent;
  EXPECT_EQ(recent.After(At(0)), nullptr);
  recent.Add(At(10), Events(2, 2), 100);
  const auto held = recent.After(At(10));
  ASSERT_NE(held, nullptr);
  EXPECT_EQ(held->front().sequence, 2u);
  EXPECT_EQ(recent.After(At(15)), held);     // where only others have written since 10
  EXPECT_EQ(recent.After(At(9)), nullptr);   // the event at 10 comes first
  EXPECT_EQ(recent.After(At(20)), nullptr);  // within the batch
  EXPECT_EQ(recent.After(At(30)), nullptr);  // nothing follows yet
}

TEST(RecentEventsTest, JoinsABatchThatNobodyHasTakenAndNoOther) {
  RecentEvents recent;
  recent.Add(At(0), Events(1, 1), 100);
  recent.Add(At(10), Events(2, 1), 100);
  const auto joined = recent.After(At(0));
  ASSERT_EQ(joined->size(), 2u);
  recent.Add(At(20), Events(3, 1), 100);
  EXPECT_EQ(joined->size(), 2u) << "somebody reads it";
  EXPECT_EQ(recent.After(At(20))->front().sequence, 3u);
}

TEST(RecentEventsTest, KeepsABoundedAmountAndTellsWhereItBegins) {
  RecentEvents recent;
  constexpr size_t kLarge = size_t{3} << 20;
  for (uint64_t i = 0; i < 20; ++i) recent.Add(At(10 * i), Events(i + 1, 1), kLarge);
  EXPECT_EQ(recent.After(At(0)), nullptr);
  ASSERT_NE(recent.After(At(190)), nullptr);
  const auto begin = recent.NextBegin(At(0));
  ASSERT_TRUE(begin);
  EXPECT_GT(*begin, 10u);
  EXPECT_NE(recent.After(At(10 * (*begin - 1))), nullptr);
  EXPECT_EQ(recent.NextBegin(At(10 * (*begin - 1) - 1)), begin);
  EXPECT_EQ(recent.NextBegin(At(190)), std::nullopt)
      << "the next event is the first of a batch";
  EXPECT_EQ(recent.NextBegin(At(195)), std::nullopt) << "and there only others have written";
  recent.Clear();
  EXPECT_EQ(recent.After(At(190)), nullptr);
}

TEST(RecentEventsTest, GivesTransactionsBackOnceTheLastReaderIsDone) {
  RecentEvents recent;
  recent.Add(At(0), Events(1, 3), 100);
  auto held = recent.After(At(0));
  recent.Clear();
  EXPECT_TRUE(recent.Reclaim().empty());
  held.reset();
  EXPECT_EQ(recent.Reclaim().size(), 3u);
}

}  // namespace
}  // namespace indoubt::cdc_internal
