#include "cdc/log/log_hold.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace indoubt::cdc_internal {
namespace {

Status Failed(const std::string& path) {
  return Status(StatusCode::kIoError,
                fmt::format("cannot lock {}: {}", path, std::strerror(errno)));
}

Result<int> OpenHold(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Failed(path);
  return fd;
}

int Flock(int fd, int how) {
  for (;;) {
    if (flock(fd, how) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

LogHold::~LogHold() { close(fd_); }

Result<std::unique_ptr<LogHold>> LogHold::Share(const std::string& log_path) {
  const std::string path = log_path + ".hold";
  INDOUBT_ASSIGN_OR_RETURN(const int fd, OpenHold(path));
  std::unique_ptr<LogHold> hold(new LogHold(fd));
  if (Flock(fd, LOCK_SH) != 0) return Failed(path);
  return hold;
}

Result<std::unique_ptr<LogHold>> LogHold::TryExclude(const std::string& log_path) {
  const std::string path = log_path + ".hold";
  INDOUBT_ASSIGN_OR_RETURN(const int fd, OpenHold(path));
  std::unique_ptr<LogHold> hold(new LogHold(fd));
  const int failed = Flock(fd, LOCK_EX | LOCK_NB);
  if (failed == EWOULDBLOCK) return std::unique_ptr<LogHold>();
  if (failed != 0) return Failed(path);
  return hold;
}

Result<bool> LogHold::IsShared(const std::string& log_path) {
  const std::string path = log_path + ".hold";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return false;
  if (fd < 0) return Failed(path);
  const LogHold look(fd);
  // Among those that share there is room for one more, and none for one alone.
  for (const int how : {LOCK_SH, LOCK_EX}) {
    const int failed = Flock(fd, how | LOCK_NB);
    if (failed == EWOULDBLOCK) return how == LOCK_EX;
    if (failed != 0) return Failed(path);
  }
  return false;
}

}  // namespace indoubt::cdc_internal
