// The control socket: a unix socket beside the decision log, on which a coordinator that
// serves answers the operator's verbs and transactions of its own user. Whoever finds the
// log locked asks there. No network, no other user: 0600 in the log's 0700 folder.
#pragma once

#include <memory>
#include <string>

#include "coordinator/coordinator.h"

namespace indoubt {

/// Its name in the log's folder.
inline constexpr const char* kControlSocketName = "control";

/// A coordinator's control socket. Thread-compatible.
class ControlServer {
 public:
  /// Listens in `folder`, the log's, which this process has locked: a socket left there by
  /// a process that was killed is replaced. The path may be longer than what a unix socket
  /// can bear. `coordinator` must outlive it. kUnavailable, kIoError, kNotFound.
  static Result<std::unique_ptr<ControlServer>> Start(Coordinator& coordinator,
                                                      const std::string& node,
                                                      const std::string& folder);
  virtual ~ControlServer() = default;
  /// Removes the socket, lets calls under way end for `drain`, then cancels them.
  virtual void Shutdown(Duration drain) = 0;
};

/// A coordinator that serves, asked through its control socket. Errors are those of the
/// coordinator itself; kUnavailable when the answer was lost, so that it is not known
/// whether it was done. Thread-safe.
class ControlClient : public TransactionExecutor, public Operations {
 public:
  /// kUnavailable when nobody answers in `folder`: it has no socket, or one that a killed
  /// process left behind, or its owner does not serve yet.
  static Result<std::unique_ptr<ControlClient>> Connect(const std::string& folder);
  /// The process that answers.
  virtual int64_t pid() const = 0;
};

}  // namespace indoubt
