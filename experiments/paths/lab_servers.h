// The helper processes of the paths raw-grpc and dual-write: an executor of the
// laboratory's behind the same gRPC edge as the coordinator, in a process of its
// own, so that it can be compared with `indoubt serve` and killed like it.
//
//   indoubt lab raw-server         --listen ADDR --postgres DSN --redis URI --sqlite PATH
//   indoubt lab dual-write-client  --listen ADDR --postgres DSN --redis URI --sqlite PATH
#pragma once

#include <string>

#include "base/status.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

struct LabServerOptions {
  std::string listen;  // "unix:/path" or "127.0.0.1:7440"
  StoreEndpoints stores;
  int clients = 32;  // most operations at once, at least 1
};

/// Serves until SIGTERM or SIGINT, then drains. Blocks; call it from main's
/// thread before any other starts, for it blocks those signals.
Status RunRawServer(const LabServerOptions& options);
Status RunDualWriteClient(const LabServerOptions& options);

}  // namespace indoubt
