#include "base/file.h"

#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/process.h"
#include "tests/support/eventually.h"

namespace indoubt {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// How often this process has `path` open.
int OpenDescriptorsOf(const std::string& path) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the listing's own descriptor is
    if (std::filesystem::read_symlink(entry.path(), gone) == path) ++count;
  }
  return count;
}

class FileTest : public testing::Test {
 protected:
  ScratchFolder folder_{"indoubt-file"};
  std::string path_ = folder_.path() + "/file";
  FileSystem& fs_ = PosixFileSystem();
};

TEST_F(FileTest, ReadsBackWhatWasWritten) {
  auto file = fs_.Open(path_, OpenMode::kCreateNew);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE((*file)->WriteAt(3, "abc").ok());
  ASSERT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(*(*file)->Size(), 6u);
  EXPECT_EQ(*(*file)->ReadAt(3, 100), "abc");
}

TEST_F(FileTest, CreatesOnlyForItsOwner) {
  ASSERT_TRUE(fs_.Open(path_, OpenMode::kCreateNew).has_value());
  struct stat info {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FileTest, SaysNotFoundForAMissingFile) {
  EXPECT_EQ(fs_.Open(path_, OpenMode::kRead).error().code(), StatusCode::kNotFound);
}

TEST_F(FileTest, ListsNamesInOrder) {
  ASSERT_TRUE(fs_.Open(folder_.path() + "/b", OpenMode::kCreateNew).has_value());
  ASSERT_TRUE(fs_.Open(folder_.path() + "/a", OpenMode::kCreateNew).has_value());
  EXPECT_THAT(*fs_.List(folder_.path()), ElementsAre("a", "b"));
}

TEST_F(FileTest, ASecondLockNamesTheHolder) {
  auto first = fs_.Lock(path_);
  ASSERT_TRUE(first.has_value());
  const auto second = fs_.Lock(path_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), StatusCode::kLocked);
  EXPECT_THAT(second.error().message(), HasSubstr(std::to_string(getpid())));
  first.value().reset();
  EXPECT_TRUE(fs_.Lock(path_).has_value());
}

TEST_F(FileTest, ALockThatIsBeingTakenIsWaitedForByItsHoldersName) {
  // As a process that has the lock and has not come to write its pid yet.
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT, 0600);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  std::string said;
  std::thread other([&] {
    const auto lock = fs_.Lock(path_);
    if (!lock) said = lock.error().message();
  });
  // Who asks for it has the file open, too.
  EXPECT_TRUE(Eventually([&] { return OpenDescriptorsOf(path_) == 2; }));
  EXPECT_EQ(pwrite(fd, "4711", 4, 0), 4);
  other.join();
  EXPECT_THAT(said, HasSubstr("held by process 4711"));
  close(fd);
}

}  // namespace
}  // namespace indoubt
