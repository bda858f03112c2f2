// One connection to the slot: what comes in goes to the appender, and what the appender has
// made durable is confirmed. Private to this room.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cdc/event_log.h"
#include "cdc/source/appender.h"
#include "cdc/source/replication_stream.h"
#include "cdc/source/snapshot_filter.h"

namespace indoubt::cdc_internal {

/// Belongs to one thread.
class SourceStream {
 public:
  /// How far the source was heard to be, and what the slot was told last; at least every
  /// second. An error ends the stream.
  using Listener = std::function<Status(Lsn source, Lsn confirmed)>;

  /// Connects behind the log's end, of which it is the appender until it goes. `log`, `filter`
  /// and `stop` must outlive it. Errors as CheckSource and
  /// ReplicationStream::Start.
  static Result<std::unique_ptr<SourceStream>> Start(const SlotOptions& options, EventLog& log,
                                                     SnapshotFilter& filter,
                                                     const StopSignal& stop, Listener listener);
  /// Streams until something fails, and says what. kAborted when stopped.
  Status Run();
  /// Whether anything has come in.
  bool progressed() const { return stream_->messages() > 0; }

 private:
  SourceStream(EventLog& log, SnapshotFilter& filter, Listener listener,
               std::unique_ptr<ReplicationStream> stream);
  /// Takes what is here, or waits until something is due. Whether much was here.
  Result<bool> Receive();
  /// Takes it and, if there is one, the transaction in `next_`.
  Status Take(const ReplicationStream::Message& message);
  void HandOver();
  /// When the thread has something to do although nothing comes.
  TimePoint NextDue() const;
  Status Confirm();
  void AdvanceIfDue(TimePoint now);

  EventLog& log_;
  SnapshotFilter& filter_;
  const Listener listener_;
  const std::unique_ptr<ReplicationStream> stream_;
  Appender appender_;
  HeldTransaction next_;                  // what comes is read into it
  std::vector<HeldTransaction> spare_;    // whose memory serves again
  std::vector<HeldTransaction> pending_;  // decoded, not handed over
  size_t pending_bytes_ = 0;
  Lsn sent_;       // the source has sent everything up to here
  Lsn confirmed_;  // what the slot was told
  bool reply_requested_ = false;
  TimePoint ask_at_, confirm_at_, advance_at_, answer_by_;
};

}  // namespace indoubt::cdc_internal
