#include "cdc/source/snapshot_filter.h"

#include <gtest/gtest.h>

namespace indoubt::cdc_internal {
namespace {

bool Sees(const std::string& snapshot, uint32_t xid) {
  const auto parsed = VisibleTransactions::Parse(snapshot);
  EXPECT_TRUE(parsed) << parsed.error().ToString();
  return parsed && parsed->Sees(xid);
}

TEST(SnapshotFilterTest, SeesWhatWasCommittedWhenTheSnapshotWasTaken) {
  EXPECT_TRUE(Sees("100:110:", 99));
  EXPECT_TRUE(Sees("100:110:103,107", 102));
  EXPECT_FALSE(Sees("100:110:103,107", 103));
  EXPECT_FALSE(Sees("100:110:103,107", 107));
  EXPECT_TRUE(Sees("100:110:103,107", 109));
  EXPECT_FALSE(Sees("100:110:", 110));
  EXPECT_FALSE(Sees("100:110:", 2'000'000'000));
}

TEST(SnapshotFilterTest, TheSnapshotsEpochGoesForTheStreamsXids) {
  // 2^32 + 5: the counter has just begun anew.
  EXPECT_TRUE(Sees("4294967290:4294967301:", 4294967295u));
  EXPECT_TRUE(Sees("4294967290:4294967301:", 4));
  EXPECT_FALSE(Sees("4294967290:4294967301:", 5));
  EXPECT_FALSE(Sees("4294967290:4294967301:4294967295", 4294967295u));
}

TEST(SnapshotFilterTest, WhatIsNoSnapshotIsRefused) {
  for (const char* text : {"", "1", "1:", "a:b:", "1:2:x", "1:2:3,,4", "1:2 3", "1:2:3;4"}) {
    EXPECT_FALSE(VisibleTransactions::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace indoubt::cdc_internal
