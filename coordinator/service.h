// The gRPC edge: serves any TransactionExecutor, and is one towards a server.
// The coordinator library itself needs no gRPC; this is a target of its own.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/executor.h"

namespace indoubt {

/// A running gRPC server in front of an executor, which must outlive it.
class ExecutorServer {
 public:
  /// Listens on `address`: "127.0.0.1:7440" (port 0: any free one) or
  /// "unix:/path". kUnavailable when it cannot.
  static Result<std::unique_ptr<ExecutorServer>> Start(TransactionExecutor& executor,
                                                       const std::string& address);
  virtual ~ExecutorServer() = default;
  /// The TCP port that it listens on, 0 for a unix socket.
  virtual int port() const = 0;
  /// Refuses new calls, lets those under way end for `drain`, then cancels them.
  virtual void Shutdown(Duration drain) = 0;
};

/// How long connecting may take where nobody says.
constexpr Duration kConnectLimit = std::chrono::seconds(5);

/// An executor that hands everything to the server at `address`. Does not wait for a server
/// that is not there; for one that is far away or busy, until `connect_limit` (at least 100 ms)
/// of each attempt to connect. A call that was lost on the way ends as kInDoubt with
/// kUnavailable; one that never reached a server as kRolledBack with kUnavailable.
std::unique_ptr<TransactionExecutor> ConnectExecutor(const std::string& address,
                                                     Duration connect_limit = kConnectLimit);

/// Keeps gRPC's own log off stderr, for a program that says itself what went wrong; not where
/// the environment asks for that log (GRPC_VERBOSITY, GRPC_TRACE). Of the whole process.
void SilenceServiceLibrary();

}  // namespace indoubt
