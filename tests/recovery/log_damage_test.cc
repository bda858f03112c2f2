// Damage: whatever is wrong, a start finds every decision or refuses. Each single bit is
// in log_every_bit_test.cc.
#include <optional>

#include <fmt/format.h>

#include "base/crc32c.h"
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
  for (const size_t size : {size_t{0}, size_t{100}, size_t{2048}, size_t{2100}}) {
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

TEST_F(LogDamageTest, UnknownVersionIsRefusedByNameAndLeftAsItWas) {
  WriteThree();
  std::string other = whole_;
  for (const uint64_t at : {uint64_t{0}, log_format::kSegmentHeaderCopyAt}) {
    other.replace(at + 6, 2, "37");
    const uint32_t crc = Crc32c(std::string_view(other).substr(at, 124));
    for (size_t i = 0; i < 4; ++i) other[at + 124 + i] = static_cast<char>(crc >> (8 * i));
  }
  FakeFileSystem disk;
  disk.Put(segment_, other);
  const Status refused = OpenFileLog(disk, kFolder, options_).status();
  EXPECT_EQ(refused.code(), StatusCode::kRefused) << refused.ToString();
  EXPECT_THAT(refused.message(), HasSubstr(segment_ + ": offset 6: is of format version 37"));
  EXPECT_EQ(disk.Contents(segment_), other);
  EXPECT_EQ(disk.Paths().size(), 1u);
  const auto shown = InspectLog(disk, kFolder);
  ASSERT_EQ(shown->size(), 1u);
  EXPECT_THAT(shown->front().detail, HasSubstr("version 37"));
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

TEST_F(LogDamageTest, PredecessorThatGoesOnBehindItsEndIsRefused) {
  WriteThree();
  Open();  // its successor, which knows where it ended
  log_.reset();
  const std::string newest = Segment();
  FakeFileSystem disk;
  disk.Put(newest, disk_.Contents(newest));
  disk.Put(segment_, whole_);
  EXPECT_TRUE(OpenFileLog(disk, kFolder, options_).has_value()) << "a mere leftover";
  // Somebody without the lock goes on writing the old one.
  std::string payload;
  log_format::AppendRecord(payload, 5, "anything");
  const auto header = log_format::DecodeSegmentHeader(whole_);
  std::string more = whole_;
  const auto group = log_format::EncodeGroup(*header, written_end_, 5, 1, payload);
  more.replace(written_end_, group.bytes.size(), group.bytes);
  FakeFileSystem shared;
  shared.Put(newest, disk_.Contents(newest));
  shared.Put(segment_, more);
  const Status refused = OpenFileLog(shared, kFolder, options_).status();
  EXPECT_EQ(refused.code(), StatusCode::kCorrupt) << refused.ToString();
  EXPECT_THAT(refused.message(),
              HasSubstr(fmt::format("{}: goes on at offset {}", segment_, written_end_)));
  EXPECT_EQ(shared.Contents(segment_), more);
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
