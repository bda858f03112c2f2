#include "tests/support/small_disk.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/check.h"

namespace indoubt::testing {
namespace {

Status Refused(const char* what) {
  return Status(StatusCode::kUnsupported,
                fmt::format("{}: {}; this test needs root with CAP_SYS_ADMIN, or a kernel that "
                            "lets users make user namespaces",
                            what, std::strerror(errno)));
}

bool WriteAll(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

// Every user keeps their own number, so that servers run as who they would anyway.
Status EnterUserNamespace() {
  const uid_t user = getuid();
  const gid_t group = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return Refused("unshare");
  if (!WriteAll("/proc/self/uid_map", fmt::format("{0} {0} 1", user)) ||
      !WriteAll("/proc/self/setgroups", "deny") ||
      !WriteAll("/proc/self/gid_map", fmt::format("{0} {0} 1", group))) {
    return Refused("/proc/self/uid_map");
  }
  return Status::Ok();
}

}  // namespace

Status EnterOwnMounts() {
  if (geteuid() == 0) {
    if (unshare(CLONE_NEWNS) != 0) return Refused("unshare");
  } else {
    INDOUBT_RETURN_IF_ERROR(EnterUserNamespace());
  }
  // Nothing that is mounted here shall show outside.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Refused("mount");
  return Status::Ok();
}

SmallDisk::SmallDisk(std::string folder, size_t bytes) : folder_(std::move(folder)) {
  const std::string options = fmt::format("size={},mode=0700", bytes);
  INDOUBT_CHECK(mount("tmpfs", folder_.c_str(), "tmpfs", 0, options.c_str()) == 0,
                Refused("mount").ToString());
}

SmallDisk::~SmallDisk() { umount2(folder_.c_str(), MNT_DETACH); }

void FillUp(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  INDOUBT_CHECK(fd >= 0, path);
  const std::string page(4096, 'x');
  while (write(fd, page.data(), page.size()) > 0) {
  }
  INDOUBT_CHECK(errno == ENOSPC, std::strerror(errno));
  close(fd);
}

}  // namespace indoubt::testing
