#include "coordinator/control_socket.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinator/control.h"

namespace indoubt {
namespace {

Status Errno(const char* what, const std::string& folder) {
  const int error = errno;
  return Status(error == ENOENT ? StatusCode::kNotFound : StatusCode::kIoError,
                fmt::format("{} the control socket {}/{}: {}", what, folder, kControlSocketName,
                            std::strerror(error)));
}

}  // namespace

Result<ControlSocketPath> ControlSocketPath::In(const std::string& folder) {
  const int fd = open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Errno("cannot open the folder of", folder);
  return ControlSocketPath(folder, fd);
}

ControlSocketPath::ControlSocketPath(ControlSocketPath&& other) noexcept
    : folder_(std::move(other.folder_)), fd_(std::exchange(other.fd_, -1)) {}

ControlSocketPath::~ControlSocketPath() {
  if (fd_ >= 0) close(fd_);
}

std::string ControlSocketPath::path() const {
  return fmt::format("/proc/self/fd/{}/{}", fd_, kControlSocketName);
}

Status ControlSocketPath::Remove() const {
  if (unlinkat(fd_, kControlSocketName, 0) == 0 || errno == ENOENT) return Status::Ok();
  return Errno("cannot remove", folder_);
}

Status ControlSocketPath::MakePrivate() const {
  if (fchmodat(fd_, kControlSocketName, 0600, 0) == 0) return Status::Ok();
  return Errno("cannot make private", folder_);
}

}  // namespace indoubt
