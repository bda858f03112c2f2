#include "base/file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"

namespace indoubt {
namespace {

// What a person can do about the errors that a full or failing disk gives.
const char* Remedy(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "; free space there, then start again";
    case EFBIG:
      return "; raise the limit on file size (ulimit -f), then start again";
    case EIO:
      return "; look after the disk (dmesg), then start again";
    case EROFS:
      return "; make the file system writable, then start again";
    default:
      return "";
  }
}

Status Errno(std::string_view what, const std::string& path) {
  const int error = errno;
  const StatusCode code = error == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError;
  return Status(code,
                fmt::format("{} {}: {}{}", what, path, std::strerror(error), Remedy(error)));
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n =
          pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Errno("cannot write", path_);
      if (n == 0) return Status(StatusCode::kIoError, "nothing is written to " + path_);
      bytes.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return Status::Ok();
  }

  Result<std::string> ReadAt(uint64_t offset, size_t length) override {
    std::string bytes(length, '\0');
    size_t got = 0;
    while (got < length) {
      const ssize_t n =
          pread(fd_.get(), bytes.data() + got, length - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Errno("cannot read", path_);
      if (n == 0) break;
      got += static_cast<size_t>(n);
    }
    bytes.resize(got);
    return bytes;
  }

  Status Sync() override {
    if (fdatasync(fd_.get()) != 0) return Errno("cannot sync", path_);
    return Status::Ok();
  }

  Result<uint64_t> Size() override {
    struct stat info {};
    if (fstat(fd_.get(), &info) != 0) return Errno("cannot stat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

  Status Truncate(uint64_t size) override {
    if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0)
      return Errno("cannot truncate", path_);
    return Status::Ok();
  }

  const std::string& path() const override { return path_; }

 private:
  const std::string path_;
  const Descriptor fd_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  const Descriptor fd_;  // closing it lets go of the flock
};

// Whoever has taken the lock writes his pid next: one that is not there yet is waited for.
std::string HolderIn(int fd) {
  constexpr int kLooks = 500;
  for (int look = 0; look < kLooks; ++look) {
    char holder[32] = {};
    const ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    if (n > 0) return {holder, static_cast<size_t>(n)};
    usleep(2000);
  }
  return "?";
}

class Posix final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case OpenMode::kRead:
        flags |= O_RDONLY;
        break;
      case OpenMode::kReadWrite:
        flags |= O_RDWR;
        break;
      case OpenMode::kCreateNew:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    }
    const int fd = open(path.c_str(), flags, 0600);
    if (fd < 0) return Errno("cannot open", path);
    return std::unique_ptr<File>(std::make_unique<PosixFile>(path, fd));
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir(directory.c_str()), closedir);
    if (!dir) return Errno("cannot list", directory);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Status CreateDirectory(const std::string& directory) override {
    if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
      return Errno("cannot make folder", directory);
    }
    return Status::Ok();
  }

  Status SyncDirectory(const std::string& directory) override {
    const Descriptor fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return Errno("cannot open folder", directory);
    if (fsync(fd.get()) != 0) return Errno("cannot sync folder", directory);
    return Status::Ok();
  }

  Status Remove(const std::string& path) override {
    if (unlink(path.c_str()) != 0) return Errno("cannot remove", path);
    return Status::Ok();
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) != 0) return Errno("cannot rename", from);
    return Status::Ok();
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return Errno("cannot open lock", path);
    auto lock = std::make_unique<PosixLock>(fd);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Errno("cannot lock", path);
      return Status(StatusCode::kLocked,
                    fmt::format("{} is held by process {}", path, HolderIn(fd)));
    }
    const std::string pid = std::to_string(getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
      return Errno("cannot write lock", path);
    }
    return std::unique_ptr<FileLock>(std::move(lock));
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static Posix posix;
  return posix;
}

}  // namespace indoubt
