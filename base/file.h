// The seam under all durable I/O: production uses POSIX, tests use a disk that
// tears, forgets and fails. What is promised after a power cut is only what
// Sync() and SyncDirectory() were answered Ok for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace indoubt {

/// An open file. Not thread-safe, except that Sync may run beside WriteAt of
/// another thread. Closing reports nothing: sync first.
class File {
 public:
  virtual ~File() = default;
  /// Writes all of `bytes` at `offset`, or fails (kIoError; some may be written).
  virtual Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  /// Reads up to `length` bytes; fewer only at the end of the file.
  virtual Result<std::string> ReadAt(uint64_t offset, size_t length) = 0;
  /// Makes what was written durable (fdatasync). After a failure nothing is
  /// known of any write since the last success; never retry it.
  virtual Status Sync() = 0;
  virtual Result<uint64_t> Size() = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual const std::string& path() const = 0;
};

/// Held while it lives; another process' attempt fails meanwhile.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode { kRead, kReadWrite, kCreateNew };

/// Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// kCreateNew makes the file 0600 and fails if it exists. kNotFound when it
  /// does not for the other modes.
  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  /// Names (not paths) in `directory`, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  /// Makes the folder 0700; Ok if it exists.
  virtual Status CreateDirectory(const std::string& directory) = 0;
  /// Makes creations, removals and renames in it durable.
  virtual Status SyncDirectory(const std::string& directory) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  /// Takes flock(LOCK_EX | LOCK_NB) on `path`, made if absent, and writes this
  /// process' pid into it. kLocked names the holder's pid.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

/// The operating system's files.
FileSystem& PosixFileSystem();

}  // namespace indoubt
