// The unix socket that a server listens on. gRPC removes whatever socket is at the path, also
// one that another server listens on; so who may have the path is settled here, before.
#pragma once

#include <string>

#include "base/status.h"

namespace indoubt {

/// The path of a unix socket, ours alone while it lives: a lock on PATH.lock keeps other
/// servers of this kind off. The lock file goes with it.
class ListenSocket {
 public:
  /// Takes `path`, and removes the socket that a killed server left there. kUnavailable when
  /// somebody listens there, or has begun to, and when something else than a socket is there,
  /// which stays; kIoError when the folder cannot be used.
  static Result<ListenSocket> At(const std::string& path);
  ListenSocket(ListenSocket&& other) noexcept;
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  /// For gRPC, which takes a URI: "unix:..." with %20 for a space.
  static std::string Address(const std::string& path);

 private:
  ListenSocket(std::string lock_path, int fd) : lock_path_(std::move(lock_path)), fd_(fd) {}

  std::string lock_path_;
  int fd_;
};

}  // namespace indoubt
