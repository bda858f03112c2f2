#include "bench/disk.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"

namespace indoubt::bench {
namespace {

constexpr uint64_t kProbeFileBytes = 8u << 20;

[[noreturn]] void GiveUp(const std::string& why) {
  std::fprintf(stderr, "indoubt-bench: %s\n", why.c_str());
  std::exit(3);
}

}  // namespace

DataFolder::DataFolder(const std::string& parent) {
  struct statfs where {};
  if (statfs(parent.c_str(), &where) != 0) {
    GiveUp(parent + ": cannot be looked at; name a folder on a disk with --data=FOLDER");
  }
  if (where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC) {
    GiveUp(parent +
           " is in memory, where a sync costs nothing; name a folder on a disk with "
           "--data=FOLDER");
  }
  path_ = parent + "/indoubt-bench-XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) {
    GiveUp(parent + ": cannot make a folder in it; name another one with --data=FOLDER");
  }
}

DataFolder::~DataFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

class CountingFile final : public File {
 public:
  CountingFile(CountingFileSystem& counts, std::unique_ptr<File> file)
      : counts_(counts), file_(std::move(file)) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    counts_.written_bytes_.fetch_add(bytes.size(), std::memory_order_relaxed);
    return file_->WriteAt(offset, bytes);
  }
  Result<std::string> ReadAt(uint64_t offset, size_t length) override {
    return file_->ReadAt(offset, length);
  }
  Status Sync() override {
    counts_.syncs_.fetch_add(1, std::memory_order_relaxed);
    return file_->Sync();
  }
  Result<uint64_t> Size() override { return file_->Size(); }
  Status Truncate(uint64_t size) override { return file_->Truncate(size); }
  const std::string& path() const override { return file_->path(); }

 private:
  CountingFileSystem& counts_;
  const std::unique_ptr<File> file_;
};

Result<std::unique_ptr<File>> CountingFileSystem::Open(const std::string& path, OpenMode mode) {
  INDOUBT_ASSIGN_OR_RETURN(auto file, files_.Open(path, mode));
  return std::unique_ptr<File>(std::make_unique<CountingFile>(*this, std::move(file)));
}
Result<std::vector<std::string>> CountingFileSystem::List(const std::string& directory) {
  return files_.List(directory);
}
Status CountingFileSystem::CreateDirectory(const std::string& directory) {
  return files_.CreateDirectory(directory);
}
Status CountingFileSystem::SyncDirectory(const std::string& directory) {
  syncs_.fetch_add(1, std::memory_order_relaxed);
  return files_.SyncDirectory(directory);
}
Status CountingFileSystem::Remove(const std::string& path) { return files_.Remove(path); }
Status CountingFileSystem::Rename(const std::string& from, const std::string& to) {
  return files_.Rename(from, to);
}
Result<std::unique_ptr<FileLock>> CountingFileSystem::Lock(const std::string& path) {
  return files_.Lock(path);
}

SyncProbe::SyncProbe(const std::string& folder, size_t bytes) : record_(bytes, 'r') {
  auto file = PosixFileSystem().Open(folder + "/sync-probe", OpenMode::kCreateNew);
  INDOUBT_CHECK(file.has_value(), file.status().ToString());
  file_ = std::move(*file);
  const Status filled = file_->WriteAt(0, std::string(kProbeFileBytes, '\0'));
  INDOUBT_CHECK(filled.ok(), filled.ToString());
  const Status synced = file_->Sync();
  INDOUBT_CHECK(synced.ok(), synced.ToString());
}

Duration SyncProbe::Once() {
  if (at_ + record_.size() > kProbeFileBytes) at_ = 0;
  const Status written = file_->WriteAt(at_, record_);
  at_ += record_.size();
  const TimePoint began = SystemClock().Now();
  const Status synced = file_->Sync();
  const Duration took = SystemClock().Now() - began;
  INDOUBT_CHECK(written.ok() && synced.ok(), "the disk under the benchmark works");
  return took;
}

Duration SyncProbe::Median(int count) {
  std::vector<Duration> times;
  times.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) times.push_back(Once());
  const auto middle = times.begin() + count / 2;
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0, resident = 0;
  if (!(statm >> total >> resident)) return 0;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace indoubt::bench
