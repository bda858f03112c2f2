// A disk that gives out for one program's files: dd, which writes and syncs what it is told.
#include "faults/disk.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "faults/process.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using ::testing::HasSubstr;

constexpr auto kLimit = std::chrono::seconds(20);

class DiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder_.path() + "/log");
    auto made = FaultyDisk::Make(folder_.path() + "/disk");
    ASSERT_TRUE(made) << made.error().ToString();
    disk_ = std::move(*made);
    ASSERT_EQ(Write("log/any", 1), "") << "a disk is well until it is struck";
  }
  std::string LogFiles() const { return folder_.path() + "/log/"; }

  /// Writes so many KiB from the file's beginning and syncs them. What dd had to say.
  std::string Write(const std::string& file, int kibibytes) {
    ProcessSpec spec;
    spec.argv = {"dd",
                 "if=/dev/zero",
                 "of=" + folder_.path() + "/" + file,
                 "bs=1024",
                 fmt::format("count={}", kibibytes),
                 "conv=notrunc,fdatasync",
                 "status=none"};
    spec.environment = disk_->environment();
    spec.environment["LC_ALL"] = "C";
    const auto ran = RunProgram(spec, SystemClock().Now() + kLimit);
    return ran ? *ran : ran.error().message();
  }
  uint64_t SizeOf(const std::string& file) const {
    return std::filesystem::file_size(folder_.path() + "/" + file);
  }

  ScratchFolder folder_{"indoubt-disk-test"};
  std::unique_ptr<FaultyDisk> disk_;
};

TEST_F(DiskTest, AFullOneLetsFilesBeOverwrittenAndNotGrow) {
  ASSERT_EQ(Write("log/old", 8), "");
  ASSERT_TRUE(disk_->Strike(DiskTrouble::kFull, LogFiles()).ok());
  EXPECT_FALSE(disk_->ActedAt());
  EXPECT_EQ(Write("log/old", 8), "");
  EXPECT_EQ(Write("elsewhere", 8), "");
  EXPECT_FALSE(disk_->ActedAt()) << "nothing has asked for space";

  const TimePoint before = SystemClock().Now();
  EXPECT_THAT(Write("log/old", 9), HasSubstr("No space left on device"));
  EXPECT_EQ(SizeOf("log/old"), 8U * 1024);
  EXPECT_THAT(Write("log/new", 1), HasSubstr("No space left on device"));
  ASSERT_TRUE(disk_->ActedAt());
  EXPECT_GE(*disk_->ActedAt(), before);
  EXPECT_LE(*disk_->ActedAt(), SystemClock().Now());
  EXPECT_EQ(disk_->acts(), 2);

  disk_->Heal();
  EXPECT_EQ(Write("log/new", 1), "");
  EXPECT_EQ(Write("log/old", 9), "");
}

TEST_F(DiskTest, AFailedSyncIsAnErrorThoughTheBytesWereWritten) {
  ASSERT_TRUE(disk_->Strike(DiskTrouble::kSyncError, LogFiles()).ok());
  EXPECT_EQ(Write("elsewhere", 1), "");
  EXPECT_THAT(Write("log/new", 2), HasSubstr("Input/output error"));
  EXPECT_EQ(SizeOf("log/new"), 2U * 1024);
  EXPECT_GE(disk_->acts(), 1) << "dd tries fsync after fdatasync";
  disk_->Heal();
  EXPECT_EQ(Write("log/new", 2), "");
}

TEST_F(DiskTest, ASlowOneTakesThatMuchLongerForEachSync) {
  constexpr auto kLatency = std::chrono::milliseconds(300);
  ASSERT_TRUE(disk_->Strike(DiskTrouble::kSlowSync, LogFiles(), kLatency).ok());
  const TimePoint before = SystemClock().Now();
  EXPECT_EQ(Write("log/new", 1), "");
  EXPECT_GE(SystemClock().Now() - before, kLatency);
  EXPECT_EQ(disk_->acts(), 1);
}

TEST_F(DiskTest, OnlyFilesThatAreNamedAfterThePrefixAreStruck) {
  ASSERT_TRUE(disk_->Strike(DiskTrouble::kFull, folder_.path() + "/log/a.db").ok());
  EXPECT_THAT(Write("log/a.db-wal", 1), HasSubstr("No space left on device"));
  EXPECT_EQ(Write("log/b.db", 1), "");
}

TEST_F(DiskTest, AProcessThatRunsAlreadyIsStruck) {
  ProcessSpec spec;
  spec.argv = {"cat"};
  spec.environment = disk_->environment();
  spec.stdout_path = folder_.path() + "/log/lines";
  spec.output_path = folder_.path() + "/said";
  spec.pipe_stdin = true;
  const auto cat = Process::Start(spec);
  ASSERT_TRUE(cat) << cat.error().ToString();
  const auto say = [&] { return write((*cat)->stdin_fd(), "line\n", 5) == 5; };
  ASSERT_TRUE(say());
  ASSERT_TRUE(Eventually([&] { return SizeOf("log/lines") == 5; }));
  ASSERT_TRUE(disk_->Strike(DiskTrouble::kFull, LogFiles()).ok());
  ASSERT_TRUE(say());
  const auto end = (*cat)->Wait(SystemClock().Now() + kLimit);
  ASSERT_TRUE(end) << "cat goes on";
  EXPECT_EQ(end->code, 1);
  EXPECT_EQ(SizeOf("log/lines"), 5U);
}

TEST(DiskWithoutAProcessTest, CannotBeStruck) {
  const ScratchFolder folder("indoubt-disk-test");
  const auto disk = FaultyDisk::Make(folder.path() + "/disk");
  ASSERT_TRUE(disk) << disk.error().ToString();
  const Status struck = (*disk)->Strike(DiskTrouble::kFull, folder.path() + "/");
  EXPECT_EQ(struck.code(), StatusCode::kUnavailable);
  EXPECT_THAT(struck.message(), HasSubstr("mounted noexec"));
}

}  // namespace
}  // namespace indoubt
