// Where the control socket is, for both of its ends. A unix socket's path is at most 107
// bytes, and a log's folder may be longer: the path leads through a descriptor of it.
#pragma once

#include <string>

#include "base/status.h"

namespace indoubt {

/// The way to the control socket in a folder, while it lives.
class ControlSocketPath {
 public:
  /// kNotFound, kIoError.
  static Result<ControlSocketPath> In(const std::string& folder);
  ControlSocketPath(ControlSocketPath&& other) noexcept;
  ControlSocketPath& operator=(ControlSocketPath&&) = delete;
  ~ControlSocketPath();

  /// Through the descriptor; short.
  std::string path() const;
  /// The same for gRPC: "unix:...".
  std::string address() const { return "unix:" + path(); }

  /// Removes what is there; Ok when nothing is.
  Status Remove() const;
  /// 0600.
  Status MakePrivate() const;

 private:
  ControlSocketPath(std::string folder, int fd) : folder_(std::move(folder)), fd_(fd) {}

  std::string folder_;  // for messages
  int fd_;
};

}  // namespace indoubt
