// One stretch of the worker's life: from opening the log to the stop, or to the loss of
// the slot. After a loss the next session begins with a new snapshot. Private to this room.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "cdc/event_log.h"
#include "cdc/log/log_keeper.h"
#include "cdc/pg_connection.h"
#include "cdc/source/source_runner.h"
#include "cdc/views/view_runner.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

/// Thread-safe once it is open; before, only RequestStop is.
class Session {
 public:
  explicit Session(CdcOptions options) : options_(std::move(options)) {}
  ~Session() { Stop(); }

  /// As CdcWorker::Start. With OnSlotLoss::kSnapshot a slot that has lost changes is made
  /// anew, with a snapshot, and every view is derived anew. Once.
  Status Open();
  /// Cuts Open short.
  void RequestStop() { stop_.Set(); }
  /// Stops and joins all threads; not beside Open. Idempotent.
  void Stop();

  /// Of an open one.
  CdcStatus status() const;
  SourceState source() const { return source_->state(); }
  void WaitForSourceEnd() const { source_->WaitForEnd(); }
  /// The loss that Open mended; Ok when there was none.
  const Status& loss() const { return loss_; }

 private:
  /// `tables`: as the stream calls them.
  void FollowWith(std::vector<std::unique_ptr<View>> views,
                  const std::vector<std::string>& tables, const SlotOptions& slot);
  void KeepLog();
  /// Slot and log are one behind the other when it returns.
  Status OpenSource(const SlotOptions& slot);

  const CdcOptions options_;
  StopSignal stop_;
  Status loss_;
  PublishedTables published_;
  std::unique_ptr<EventLog> log_;
  std::vector<std::unique_ptr<ViewRunner>> views_;
  std::unique_ptr<SourceRunner> source_;
  std::unique_ptr<LogKeeper> keeper_;  // null when nothing is ever removed
  std::mutex joining_;                 // two callers of Stop may not join the same thread
};

}  // namespace indoubt::cdc_internal
