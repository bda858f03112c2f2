#include "cdc/source/appender.h"

#include <gtest/gtest.h>

#include "tests/cdc/event_log_fixture.h"
#include "tests/support/eventually.h"

namespace indoubt::cdc_internal {
namespace {

std::vector<HeldTransaction> Transactions(uint64_t first_lsn, int count) {
  std::vector<HeldTransaction> transactions(static_cast<size_t>(count));
  for (HeldTransaction& transaction : transactions) {
    transaction->set_commit_end_lsn(first_lsn++);
  }
  return transactions;
}

using AppenderTest = EventLogFixture;

TEST_F(AppenderTest, WhatItWasGivenBecomesDurableInOrder) {
  Appender appender(*log_);
  // More, and larger, than one append takes: giving has to wait for room.
  for (int i = 0; i < 20; ++i) {
    auto batch = Transactions(static_cast<uint64_t>(100 + 1000 * i), 1000);
    appender.Give(batch, size_t{1} << 20);
    EXPECT_TRUE(batch.empty());
  }
  EXPECT_TRUE(Eventually([&] { return appender.idle(); }));
  EXPECT_TRUE(appender.status().ok());
  EXPECT_EQ(log_->end().last_sequence, 20'000u);
  EXPECT_EQ(log_->end().complete, Lsn{20'099});
  appender.Advance(Lsn{30'000});
  EXPECT_TRUE(Eventually([&] { return log_->end().complete == Lsn{30'000}; }));
}

TEST_F(AppenderTest, AFailedAppendEndsItAndNobodyIsLeftWaiting) {
  Appender appender(*log_);
  std::vector<HeldTransaction> lost(1);
  lost[0]->set_commit_end_lsn(20);
  lost[0]->set_gid("never prepared");
  lost[0]->set_phase(events::Transaction::COMMIT_PREPARED);
  appender.Give(lost, 1);
  EXPECT_TRUE(Eventually([&] { return !appender.status().ok(); }));
  EXPECT_EQ(appender.status().code(), StatusCode::kCorrupt);
  EXPECT_TRUE(appender.idle());
  for (int i = 0; i < 3; ++i) {
    auto more = Transactions(100, 1);
    appender.Give(more, size_t{8} << 20);
  }
  EXPECT_EQ(log_->end().last_sequence, 0u);
}

}  // namespace
}  // namespace indoubt::cdc_internal
