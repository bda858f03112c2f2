// The disk under a benchmark: a private folder on it that goes at the end, what one
// fdatasync costs there right now, and how many the log asks for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file.h"

namespace indoubt::bench {

/// A fresh folder, removed with all that is in it when it goes. Exits with a message
/// when `parent` is in memory (tmpfs, ramfs): a sync costs nothing there.
class DataFolder {
 public:
  explicit DataFolder(const std::string& parent);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// POSIX files, with what makes bytes durable counted: the log's syncs as it asks for
/// them. Thread-safe.
class CountingFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status CreateDirectory(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Status Remove(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  /// Files and folders.
  uint64_t syncs() const { return syncs_; }
  /// Zeros that fill a new segment are written too.
  uint64_t written_bytes() const { return written_bytes_; }

 private:
  friend class CountingFile;
  FileSystem& files_ = PosixFileSystem();
  std::atomic<uint64_t> syncs_{0}, written_bytes_{0};
};

/// Measures fdatasync after a write of `bytes` at the end of what was written, in a file
/// of zeros as a segment of the log is one.
class SyncProbe {
 public:
  SyncProbe(const std::string& folder, size_t bytes);
  /// One write and its sync; the time of the sync alone.
  Duration Once();
  /// The median of `count` of them.
  Duration Median(int count);

 private:
  const std::string record_;
  std::unique_ptr<File> file_;
  uint64_t at_ = 0;
};

/// Resident bytes of this process; 0 when the kernel does not say.
uint64_t ResidentBytes();

}  // namespace indoubt::bench
