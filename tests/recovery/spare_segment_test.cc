// The segment that is made beside the commits.
#include "recovery/spare_segment.h"

#include <atomic>

#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/fake_file_system.h"

namespace indoubt {
namespace {

constexpr uint64_t kSize = SpareSegment::kWorthwhileBytes;

class SpareSegmentTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectory("log").ok()); }
  FakeFileSystem disk_;
};

TEST_F(SpareSegmentTest, IsThereWhenItIsTaken) {
  SpareSegment spare(disk_, "log");
  spare.Want(kSize);
  EXPECT_TRUE(spare.Take().file);
  EXPECT_FALSE(spare.Take().file) << "one only";
}

TEST_F(SpareSegmentTest, OnAFullDiskItIsTriedOnceUntilSomebodyNeedsIt) {
  std::atomic<int> tries{0}, removed{0};
  disk_.SetFault([&](FakeFileSystem::Operation asked, const std::string& path) {
    if (asked == FakeFileSystem::Operation::kRemove) ++removed;
    if (asked != FakeFileSystem::Operation::kWrite) return Status::Ok();
    ++tries;
    return Status(StatusCode::kIoError, path + ": no space left on the device");
  });
  SpareSegment spare(disk_, "log");
  spare.Want(kSize);
  ASSERT_TRUE(Eventually([&] { return removed == 1; }, std::chrono::seconds(20)));
  const int once = tries;
  for (int group = 0; group < 100; ++group) spare.Want(kSize);
  EXPECT_FALSE(spare.Take().file);
  EXPECT_EQ(tries, once);
  spare.Want(kSize);
  EXPECT_FALSE(spare.Take().file);
  EXPECT_GT(tries, once) << "the disk may have room by then";
}

}  // namespace
}  // namespace indoubt
