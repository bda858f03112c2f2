// Looks for every committed order in Redis and SQLite until it is there, and
// writes lag.ndjson.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "experiments/ndjson.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Start and Stop from one thread; the rest from any.
class LagWatcher {
 public:
  /// Connects; `out` must outlive this.
  static Result<std::unique_ptr<LagWatcher>> Start(const StoreEndpoints& stores,
                                                   NdjsonFile& out);
  ~LagWatcher();
  /// A client was told so. Thread-safe, does not block.
  void Committed(int64_t order, TimePoint at);
  /// Writes what was never seen as such. Idempotent.
  void Stop();
  /// Orders that are not yet visible somewhere.
  size_t pending() const;
  /// Since the oldest order was committed that is not yet visible, by store; 0 when there is
  /// none.
  std::map<std::string, Duration> Oldest() const;
  std::vector<std::string> Troubles() const;

 private:
  struct Store;
  LagWatcher();
  std::vector<std::unique_ptr<Store>> stores_;
};

}  // namespace indoubt
