// Everything that watches one repetition from outside of its path, on connections
// of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/load_generator.h"
#include "experiments/ndjson.h"
#include "experiments/observer/double_reader.h"
#include "experiments/observer/lag_watcher.h"
#include "experiments/observer/observed.h"
#include "experiments/observer/outside_writers.h"
#include "experiments/observer/prepared_watcher.h"
#include "experiments/observer/recent_orders.h"
#include "experiments/observer/slot_watcher.h"
#include "experiments/observer/token_reader.h"

namespace indoubt {

/// What is watched of a path that derives.
struct DerivedWatch {
  const CdcOptions* views = nullptr;  // null: nothing is derived
  bool token_reads = false;           // also readers with and without tokens and cuts
  bool slot_waits = false;            // also somebody who makes slots
};

/// Start, Stop and Close from one thread.
class Observer {
 public:
  /// Writes into `folder`. `two_phase`: whether branches are ever in doubt on this
  /// path; otherwise in_doubt.ndjson is not written. The rest, and what `derived` points to,
  /// must outlive this.
  static Result<std::unique_ptr<Observer>> Start(const StoreEndpoints& stores, const Shop& shop,
                                                 bool two_phase, const DerivedWatch& derived,
                                                 const RecentOrders& recent,
                                                 std::function<LoadCounts()> counts,
                                                 const std::string& folder);
  ~Observer() { Stop(); }

  LagWatcher& lag() { return *lag_; }
  /// From any thread.
  Observed Now() const;
  /// A client was told so. Thread-safe, does not block.
  void Committed(int64_t order, TimePoint at);
  /// Stops watching; what is unfinished is written as such. Idempotent.
  void Stop();
  /// Stops, and completes the files.
  Status Close();
  /// What it could not see, one line each.
  std::vector<std::string> Troubles() const;

 private:
  Observer() = default;
  Status WriteTimeline();
  Status WatchDerived(const StoreEndpoints& stores, const DerivedWatch& derived,
                      const std::string& folder);
  Result<NdjsonFile*> File(const std::string& path);

  std::function<LoadCounts()> counts_;
  std::vector<std::unique_ptr<NdjsonFile>> files_;
  NdjsonFile* timeline_file_ = nullptr;
  std::unique_ptr<PreparedWatcher> prepared_;  // none without two phases
  std::unique_ptr<OutsideWriters> writers_;
  std::unique_ptr<LagWatcher> lag_;
  std::unique_ptr<DoubleReader> reader_;
  std::unique_ptr<SlotWatcher> slot_;          // none where nothing is derived
  std::unique_ptr<TokenReader> token_reader_;  // none unless asked for
  std::unique_ptr<WatchThread> timeline_;
};

}  // namespace indoubt
