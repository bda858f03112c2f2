// The decision rows of transactions that have ended: they go lazily, many at once.
//
// The order matters. A row may go once the end record is durable, or its gid would be
// unknown within outcome_retention. What the participants keep of the transaction may go
// once the row has gone, or recovery, finding the row, would ask them for an outcome that
// they have forgotten. No decision's sync carries these end records, so that they get one
// of their own: one for many transactions.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "coordinator/runtime.h"
#include "participants/last_resource.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// Thread-safe.
class DecisionRows {
 public:
  /// After this many, or this long after the first, a batch goes.
  static constexpr size_t kBatch = 512;
  static constexpr Duration kLazy = std::chrono::seconds(1);
  /// More than this wait for a last resource that is away; the oldest are left to the next
  /// start, which finds their rows.
  static constexpr size_t kMaxWaiting = 65536;

  /// What it is given must outlive it, or `enter` must say no: log and participants are
  /// used, on their own threads too, only between enter(), unless that is false, and leave().
  DecisionRows(Runtime& runtime, DecisionLog& log,
               const std::vector<std::unique_ptr<Participant>>& participants,
               std::function<bool()> enter, std::function<void()> leave)
      : runtime_(runtime),
        log_(log),
        participants_(participants),
        enter_(std::move(enter)),
        leave_(std::move(leave)) {}

  /// `gid` has ended, and its end is written, durable or not. `participants` (positions)
  /// keep something of it.
  void Ended(const Gid& gid, std::vector<size_t> participants);

  /// The transactions whose rows it is about to remove.
  std::vector<Gid> Waiting() const;

  /// Sends all that wait on their way and returns when they have gone, or at `deadline`.
  void Flush(TimePoint deadline);

 private:
  struct Row {
    Gid gid;
    std::vector<size_t> participants;
  };
  using Batch = std::shared_ptr<std::vector<Row>>;

  void StartBatchLater();
  void StartBatch();
  void RemoveRows(const Batch& batch);
  void OnRemoved(const Batch& batch, bool removed);
  LastResource* At(std::string_view home) const;

  Runtime& runtime_;
  DecisionLog& log_;
  const std::vector<std::unique_ptr<Participant>>& participants_;
  const std::function<bool()> enter_;
  const std::function<void()> leave_;

  mutable std::mutex mutex_;
  std::deque<Row> waiting_;  // guarded by mutex_
  bool timed_ = false;       // guarded by mutex_; a timer will start a batch
  Batch under_way_;          // guarded by mutex_; one at a time, or null
  uint64_t failures_ = 0;    // guarded by mutex_
};

}  // namespace indoubt
