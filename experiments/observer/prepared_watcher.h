// Polls the three stores for branches that are prepared and undecided, and writes
// in_doubt.ndjson: who was seen from when to when.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "experiments/ndjson.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Start and Stop from one thread; the rest from any.
class PreparedWatcher {
 public:
  /// Connects; `out` must outlive this.
  static Result<std::unique_ptr<PreparedWatcher>> Start(const StoreEndpoints& stores,
                                                        NdjsonFile& out);
  ~PreparedWatcher();
  /// Writes the branches that are still there. Idempotent.
  void Stop();
  /// Branches in doubt at the last polls: the most of any store.
  int64_t in_doubt() const;
  /// How long the oldest of these has been seen by now; 0 when there is none.
  Duration oldest() const;
  std::vector<std::string> Troubles() const;

 private:
  struct Store;
  PreparedWatcher();
  std::vector<std::unique_ptr<Store>> stores_;
};

}  // namespace indoubt
