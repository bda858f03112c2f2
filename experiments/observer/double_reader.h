// Reads the same recent order from two stores, as a customer's page would, and
// twice more where they disagree: a disagreement that stays over both collects is
// a fractured read. Writes reads.ndjson.
#pragma once

#include <memory>

#include "experiments/ndjson.h"
#include "experiments/observer/recent_orders.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Start and Stop from one thread; Trouble from any.
class DoubleReader {
 public:
  /// Connects; everything given must outlive this.
  static Result<std::unique_ptr<DoubleReader>> Start(const StoreEndpoints& stores,
                                                     uint64_t seed, const RecentOrders& recent,
                                                     NdjsonFile& out);
  ~DoubleReader() { Stop(); }
  void Stop() { thread_.Stop(); }
  std::optional<std::string> Trouble() const { return thread_.Trouble(); }

 private:
  DoubleReader(uint64_t seed, const RecentOrders& recent, NdjsonFile& out);
  Status ReadOne();
  Result<std::vector<bool>> Collect(int64_t order, bool in_redis);

  const uint64_t seed_;
  const RecentOrders& recent_;
  NdjsonFile& out_;
  uint64_t counter_ = 0;
  std::unique_ptr<PostgresClient> postgres_;
  std::unique_ptr<RedisClient> redis_;
  std::unique_ptr<SqliteClient> sqlite_;
  WatchThread thread_;
};

}  // namespace indoubt
