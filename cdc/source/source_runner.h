// The source's thread: from the slot into the event log. Private to this room.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "cdc/event_log.h"
#include "cdc/source/publication_watch.h"
#include "cdc/source/slot.h"
#include "cdc/source/snapshot_filter.h"

namespace indoubt::cdc_internal {

struct SourceState {
  Lsn source;     // how far the source was last heard to be
  Lsn confirmed;  // what the slot was last told
  Status health;
  bool lost = false;       // ended for good
  bool slot_lost = false;  // because the slot has lost changes
};

/// Thread-safe. Connects anew with a back-off when the source is away; ends for
/// good when the slot is lost. What it receives, an Appender makes durable on a thread of
/// its own.
class SourceRunner {
 public:
  /// Starts the thread; it and its Appender are the log's appender. `log` and `stop` must
  /// outlive it. `marks`: the publication's when the log was begun; `snapshot`: how the log's
  /// was copied.
  SourceRunner(SlotOptions options, PublishedTables tables, events::PublicationMarks marks,
               events::SnapshotProgress snapshot, EventLog& log, const StopSignal& stop);
  ~SourceRunner() { Join(); }
  void Join();
  SourceState state() const;
  /// Waits until it has ended, for good or for the stop.
  void WaitForEnd() const;

 private:
  void Run();
  void TryUntilLost();
  /// Streams until something fails.
  Status Stream();

  const SlotOptions options_;
  EventLog& log_;
  const StopSignal& stop_;
  SnapshotFilter filter_;
  PublicationWatch publication_;
  bool progress_ = false;  // since the last connect
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  SourceState state_;   // guarded by mutex_
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;  // last
};

}  // namespace indoubt::cdc_internal
