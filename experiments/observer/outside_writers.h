// Writers that have nothing to do with the paths: each tries one key after the other
// and waits as long as it must. Writes blocked.ndjson.
//
//   PostgreSQL  four of them: BEGIN, UPDATE of an account, ROLLBACK
//   Redis       two that respect indoubt's locks: they wait until the key is unlocked
//               and write it in the same script
//   SQLite      one: BEGIN IMMEDIATE, INSERT of a recent order's entry, ROLLBACK
//
// Half of those of PostgreSQL and of Redis go where the load goes (the same skew), the
// other half sweep all keys in turn, within seconds: so that a single key held for
// long is met for certain and not by luck.
//
// None of them changes anything that the comparison reads.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "experiments/ndjson.h"
#include "experiments/observer/recent_orders.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Start and Stop from one thread; waiting and Troubles from any.
class OutsideWriters {
 public:
  /// Connects; everything given must outlive this.
  static Result<std::unique_ptr<OutsideWriters>> Start(const StoreEndpoints& stores,
                                                       const Shop& shop,
                                                       const RecentOrders& recent,
                                                       NdjsonFile& out);
  ~OutsideWriters();
  /// Gives up what still waits and records it so. Idempotent.
  void Stop();
  /// How many wait at this moment.
  int64_t waiting() const { return waiting_.load(); }
  std::vector<std::string> Troubles() const;

 private:
  class Writer;
  class PostgresWriter;
  class RedisWriter;
  class SqliteWriter;
  OutsideWriters();

  std::atomic<int64_t> waiting_{0};
  std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace indoubt
