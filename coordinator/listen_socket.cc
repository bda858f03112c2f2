#include "coordinator/listen_socket.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace indoubt {
namespace {

Status CannotListen(const std::string& path, const std::string& why) {
  return Status(StatusCode::kUnavailable,
                fmt::format("cannot listen on unix:{}: {}", path, why));
}

Status InUse(const std::string& path) {
  return CannotListen(path,
                      "it is in use: another process listens there; stop it, or name "
                      "another path");
}

Status Errno(const std::string& path, const char* what) {
  const int error = errno;
  return Status(StatusCode::kIoError, fmt::format("cannot listen on unix:{}: {}: {}", path,
                                                  what, std::strerror(error)));
}

/// The locked lock file. Whoever had it may have removed it just before: then what was locked
/// is no file of this name any more.
Result<int> Lock(const std::string& path, const std::string& lock_path) {
  for (;;) {
    const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return Errno(path, "cannot open the lock file beside it");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const bool held = errno == EWOULDBLOCK;
      const Status failed = held ? InUse(path) : Errno(path, "cannot lock the file beside it");
      close(fd);
      return failed;
    }
    struct stat ours {
    }, named{};
    if (fstat(fd, &ours) == 0 && stat(lock_path.c_str(), &named) == 0 &&
        ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) {
      return fd;
    }
    close(fd);
  }
}

/// Ok when nobody listens at `path`, where a socket is.
Status ExpectNobody(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Errno(path, "cannot make a socket");
  const int connected =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = connected == 0 ? 0 : errno;
  close(fd);
  if (error == ECONNREFUSED || error == ENOENT) return Status::Ok();
  // A full queue (EAGAIN) is one that somebody has.
  if (error == 0 || error == EAGAIN) return InUse(path);
  errno = error;
  return Errno(path, "cannot tell whether somebody listens there");
}

Status MakeRoom(const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? Status::Ok() : Errno(path, "cannot look there");
  }
  if (!S_ISSOCK(found.st_mode)) {
    return CannotListen(path, "what is there is no socket, and stays; name another path");
  }
  INDOUBT_RETURN_IF_ERROR(ExpectNobody(path));
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return Status::Ok();
  return Errno(path, "cannot remove the socket that was left there");
}

}  // namespace

Result<ListenSocket> ListenSocket::At(const std::string& path) {
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return CannotListen(path, fmt::format("the path of a unix socket has at most {} bytes",
                                          sizeof(sockaddr_un::sun_path) - 1));
  }
  std::string lock_path = path + ".lock";
  INDOUBT_ASSIGN_OR_RETURN(const int fd, Lock(path, lock_path));
  ListenSocket taken(std::move(lock_path), fd);
  INDOUBT_RETURN_IF_ERROR(MakeRoom(path));
  return taken;
}

ListenSocket::ListenSocket(ListenSocket&& other) noexcept
    : lock_path_(std::move(other.lock_path_)), fd_(std::exchange(other.fd_, -1)) {}

ListenSocket::~ListenSocket() {
  if (fd_ < 0) return;
  unlink(lock_path_.c_str());  // while it is locked: see Lock()
  close(fd_);
}

std::string ListenSocket::Address(const std::string& path) {
  std::string address = "unix:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(byte) != 0 || std::strchr("/-._~", c) != nullptr;
    address += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return address;
}

}  // namespace indoubt
