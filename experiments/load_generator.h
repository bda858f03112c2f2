// Offers a path its load: in an open loop at the schedule's times whatever the
// path does, in a closed loop whenever fewer than `clients` operations are in
// flight. Writes ops.ndjson.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "experiments/ndjson.h"
#include "experiments/observer/recent_orders.h"
#include "experiments/paths/path.h"
#include "experiments/scenario.h"

namespace indoubt {

/// When the phases of a repetition begin and end.
struct LoadTimes {
  TimePoint warmup_from, measure_from, measure_to;
};

struct LoadCounts {
  int64_t completed = 0;  // answered, however
  int64_t errors = 0;     // answered without a commit, or dropped
  int in_flight = 0;
  int64_t committed = 0;  // of the answered
};

/// Start and Finish from one thread; counts from any.
class LoadGenerator {
 public:
  /// Called for each committed order, with the time of its acknowledgement. Must
  /// not block.
  using Committed = std::function<void(int64_t order, TimePoint at)>;

  /// Everything given must outlive Finish(), except for what late answers need.
  LoadGenerator(const Shop& shop, Path& path, const LoadPlan& plan, NdjsonFile& ops,
                RecentOrders& recent, Committed committed);
  ~LoadGenerator();

  /// Begins at times.warmup_from, issues nothing from times.measure_to on.
  void Start(const LoadTimes& times);
  /// Issues nothing more.
  void StopIssuing();
  LoadCounts counts() const;
  /// Writes what is unanswered as censored; later answers count for nothing.
  /// Returns what every client was told.
  std::vector<ToldOperation> Finish();

 private:
  struct Pending;
  struct Shared;

  void IssueOpen();
  void IssueClosed();
  void Issue(uint64_t i, TimePoint intended);
  bool WaitUntil(TimePoint when);
  static void Answered(const std::shared_ptr<Shared>& shared, uint64_t i,
                       const TransactionOutcome& outcome);

  const Shop& shop_;
  Path& path_;
  const LoadPlan plan_;
  LoadTimes times_;
  std::shared_ptr<Shared> shared_;  // with answers that are still under way
  std::thread thread_;
};

}  // namespace indoubt
