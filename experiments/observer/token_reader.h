// Reads what was just committed from the derived stores, as its writer would: at once, and
// after waiting for the write's token; and the same order from both stores: at once, and at
// one consistent cut. Writes token_reads.ndjson.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cdc/view_waiter.h"
#include "experiments/ndjson.h"
#include "experiments/observer/watch_thread.h"
#include "experiments/stores/store_clients.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

struct CdcOptions;

/// Start and Stop from one thread; the rest from any.
class TokenReader {
 public:
  /// Connects; `views`, one of each kind, and `out` must outlive this.
  static Result<std::unique_ptr<TokenReader>> Start(const StoreEndpoints& stores,
                                                    const CdcOptions& views, NdjsonFile& out);
  ~TokenReader() { Stop(); }
  /// A client was told so. Does not block.
  void Committed(int64_t order) { newest_ = order; }
  void Stop();
  std::vector<std::string> Troubles() const;

 private:
  /// Connections to the two derived stores, of one thread.
  struct Stores {
    std::unique_ptr<RedisClient> redis;
    std::unique_ptr<SqliteClient> sqlite;
    Result<bool> InStock(int64_t order);
    Result<bool> InLedger(int64_t order);
  };
  TokenReader(const CdcOptions& views, NdjsonFile& out);
  static Result<Stores> Connect(const StoreEndpoints& stores);
  /// Each is a step of a thread: one read with and one without.
  Status ReadOwn();
  Status ReadPair();
  Status ReadOwnOnce(bool with_token, bool in_stock);
  Status ReadPairOnce(bool with_cut);

  const CdcOptions& views_;
  NdjsonFile& out_;
  std::atomic<int64_t> newest_{0};  // 0: none yet
  std::unique_ptr<PostgresClient> source_;
  std::unique_ptr<ViewWaiter> stock_waiter_, ledger_waiter_;  // made when first needed
  Stores own_stores_, pair_stores_;
  uint64_t turn_ = 0;
  WatchThread own_, pair_;
};

}  // namespace indoubt
