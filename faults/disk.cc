#include "faults/disk.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults/disk_shim_image.h"

namespace indoubt {
namespace {

constexpr const char* kLibrary = "/disk-shim.so";
constexpr const char* kPage = "/control";

Status Failed(const std::string& doing, const std::string& path) {
  return Status(StatusCode::kIoError,
                fmt::format("cannot {} {}: {}", doing, path, strerror(errno)));
}

Result<DiskShimControl*> MapPage(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return Failed("make", path);
  // Servers run as another user, and say in there what they did.
  const bool made = fchmod(fd, 0666) == 0 && ftruncate(fd, sizeof(DiskShimControl)) == 0;
  void* const page =
      made ? mmap(nullptr, sizeof(DiskShimControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
           : MAP_FAILED;
  close(fd);
  if (page == MAP_FAILED) return Failed("map", path);
  return static_cast<DiskShimControl*>(page);
}

/// `value` before what this process has in a variable whose entries colons separate.
std::string BeforeOwn(const char* variable, const std::string& value) {
  const char* const own = std::getenv(variable);
  return own == nullptr || *own == '\0' ? value : fmt::format("{}:{}", value, own);
}

/// As /proc/self/fd names its files: without symbolic links.
Result<std::string> RealPrefix(const std::string& prefix) {
  const std::filesystem::path path(prefix);
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::canonical(path.parent_path(), error);
  if (error) {
    return Status(StatusCode::kNotFound, fmt::format("{}: {}", prefix, error.message()));
  }
  std::string real = (folder / path.filename()).string();
  if (real.size() >= sizeof DiskShimControl::prefix) {
    return Status(StatusCode::kInvalidArgument, real + ": too long a path");
  }
  return real;
}

}  // namespace

Result<std::unique_ptr<FaultyDisk>> FaultyDisk::Make(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) {
    return Status(StatusCode::kIoError,
                  fmt::format("cannot make {}: {}", folder, error.message()));
  }
  const std::string library = folder + kLibrary;
  std::ofstream file(library, std::ios::binary);
  file << DiskShimImage();
  file.close();
  if (!file || chmod(library.c_str(), 0755) != 0) return Failed("write", library);
  INDOUBT_ASSIGN_OR_RETURN(DiskShimControl* const control, MapPage(folder + kPage));
  return std::unique_ptr<FaultyDisk>(new FaultyDisk(folder, control));
}

FaultyDisk::~FaultyDisk() {
  Heal();
  munmap(control_, sizeof *control_);
}

std::map<std::string, std::string> FaultyDisk::environment() const {
  return {{"LD_PRELOAD", BeforeOwn("LD_PRELOAD", folder_ + kLibrary)},
          {kDiskShimVariable, folder_ + kPage},
          // A program with a sanitizer wants its own library to be the first.
          {"ASAN_OPTIONS", BeforeOwn("ASAN_OPTIONS", "verify_asan_link_order=0")}};
}

Status FaultyDisk::Strike(DiskTrouble trouble, const std::string& prefix, Duration latency) {
  if (std::atomic_ref(control_->attached).load() == 0) {
    return Status(
        StatusCode::kUnavailable,
        fmt::format("no process has loaded {}{}, so that its disk cannot be broken; "
                    "is its file system mounted noexec? INDOUBT_SCRATCH names another",
                    folder_, kLibrary));
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::string real, RealPrefix(prefix));
  Heal();
  real.copy(control_->prefix, real.size());
  control_->prefix[real.size()] = '\0';
  std::atomic_ref(control_->latency_ns).store(latency.count());
  std::atomic_ref(control_->acted_at_ns).store(0);
  std::atomic_ref(control_->acts).store(0);
  std::atomic_ref(control_->trouble).store(static_cast<int32_t>(trouble));
  return Status::Ok();
}

std::optional<TimePoint> FaultyDisk::ActedAt() const {
  const int64_t at = std::atomic_ref(control_->acted_at_ns).load();
  if (at == 0) return std::nullopt;
  return TimePoint(Duration(at));
}

int64_t FaultyDisk::acts() const { return std::atomic_ref(control_->acts).load(); }

void FaultyDisk::Heal() {
  std::atomic_ref(control_->trouble).store(static_cast<int32_t>(DiskTrouble::kNone));
}

}  // namespace indoubt
