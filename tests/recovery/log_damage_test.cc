// Damage: whatever byte is wrong, a start finds every decision or refuses.
#include <optional>

#include "recovery/log_format.h"
#include "tests/recovery/log_fixture.h"

namespace indoubt {
namespace {

using testing::HasSubstr;

class LogDamageTest : public LogFixture {
 protected:
  /// Three groups behind the carried records; the disk as it was then.
  void WriteThree() {
    Open();
    for (int i = 0; i < 3; ++i) Committed();
    segment_ = Segment();
    log_.reset();
    whole_ = disk_.Contents(segment_);
    written_end_ = whole_.find_last_not_of('\0') + 1;
  }
  /// Opens a copy of the log whose segment is `contents`.
  Result<size_t> DecisionsIn(const std::string& contents) {
    FakeFileSystem disk;
    auto file = disk.Open(segment_, OpenMode::kCreateNew);
    EXPECT_TRUE((*file)->WriteAt(0, contents).ok());
    auto log = OpenFileLog(disk, kFolder, options_);
    if (!log) return log.error();
    return (*log)->Unended().size();
  }

  std::string segment_, whole_;
  size_t written_end_ = 0;
};

TEST_F(LogDamageTest, AnyFlippedBitIsRepairedOrStopsTheStartWithFileAndOffset) {
  WriteThree();
  int repaired = 0, refused = 0;
  for (size_t at = 0; at < written_end_; ++at) {
    if (at % 64 != 0 && whole_[at] == '\0' && at < log_format::kGroupsStart) continue;
    std::string damaged = whole_;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
    const auto found = DecisionsIn(damaged);
    if (found.has_value()) {
      ASSERT_EQ(*found, 3u) << "offset " << at;
      ++repaired;
    } else {
      ASSERT_EQ(found.error().code(), StatusCode::kCorrupt) << "offset " << at;
      ASSERT_THAT(found.error().message(), HasSubstr(segment_ + ": damaged at offset"));
      ++refused;
    }
  }
  EXPECT_GT(repaired, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(LogDamageTest, RandomBytesOverAnythingButTheLastGroupAreNeverPassedOver) {
  WriteThree();
  const size_t last = whole_.rfind("IDTG");
  for (size_t at = log_format::kGroupsStart; at + 16 <= last; at += 16) {
    std::string damaged = whole_;
    damaged.replace(at, 16, std::string(16, static_cast<char>(at * 37 % 251)));
    const auto found = DecisionsIn(damaged);
    if (found.has_value()) {
      ASSERT_EQ(*found, 3u) << "offset " << at;
    } else {
      ASSERT_EQ(found.error().code(), StatusCode::kCorrupt);
    }
  }
}

TEST_F(LogDamageTest, TailTornAtAnyByteIsCutOffAndTheRestStands) {
  WriteThree();
  const size_t last = whole_.rfind("IDTG");
  for (size_t at = last; at < written_end_; ++at) {
    std::string zeroed = whole_;
    zeroed.replace(at, zeroed.size() - at, zeroed.size() - at, '\0');
    for (const std::string& torn : {zeroed, whole_.substr(0, at)}) {
      const auto found = DecisionsIn(torn);
      ASSERT_TRUE(found.has_value()) << at << ": " << found.error().ToString();
      ASSERT_TRUE(*found == 2 || *found == 3) << "offset " << at;
    }
  }
}

TEST_F(LogDamageTest, FileCutInsideItsCarriedPartIsRefused) {
  WriteThree();
  for (const size_t size : {size_t{0}, size_t{100}, size_t{4096}, size_t{4100}}) {
    const auto found = DecisionsIn(whole_.substr(0, size));
    ASSERT_FALSE(found.has_value()) << size;
    EXPECT_EQ(found.error().code(), StatusCode::kCorrupt) << size;
  }
}

TEST_F(LogDamageTest, SegmentUnderAnotherNumberIsRefused) {
  WriteThree();
  FakeFileSystem disk;
  auto file = disk.Open("log/segment-0000000009", OpenMode::kCreateNew);
  ASSERT_TRUE((*file)->WriteAt(0, whole_).ok());
  EXPECT_EQ(OpenFileLog(disk, kFolder, options_).error().code(), StatusCode::kCorrupt);
}

TEST_F(LogDamageTest, RefusedLogIsLeftAsItWas) {
  WriteThree();
  disk_.Overwrite(segment_, log_format::kGroupsStart + 60, "damage");
  const std::string damaged = disk_.Contents(segment_);
  const auto paths = disk_.Paths();
  EXPECT_EQ(TryOpen().error().code(), StatusCode::kCorrupt);
  EXPECT_EQ(disk_.Contents(segment_), damaged);
  EXPECT_EQ(disk_.Paths(), paths);
}

TEST_F(LogDamageTest, InspectGoesOnBehindTheDamage) {
  WriteThree();
  const size_t second =
      whole_.find("IDTG", whole_.find("IDTG", log_format::kGroupsStart + 1) + 1);
  disk_.Overwrite(segment_, second + log_format::kFrameBytes + 4, "damage");
  const auto shown = InspectLog(disk_, kFolder);
  ASSERT_TRUE(shown.has_value()) << shown.error().ToString();
  std::vector<std::string> kinds;
  for (const auto& record : *shown) kinds.push_back(record.kind);
  EXPECT_THAT(kinds, testing::ElementsAre("segment", "opened", "commit", "damage", "commit"));
}

}  // namespace
}  // namespace indoubt
