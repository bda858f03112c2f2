// One view's thread: from the log to the sink, from the position the sink holds.
// Private to this room.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "cdc/event_log.h"
#include "cdc/log/log_keeper.h"
#include "cdc/pg_connection.h"
#include "cdc/view.h"
#include "cdc/views/parked.h"
#include "cdc/views/schema_guard.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

/// Derives a view that is open and empty from the source's tables, see CopyTables.
using ViewCopier = std::function<Result<ViewPosition>(View&)>;

/// Thread-safe. Failures are tried again with a back-off and shown in state(); they
/// concern no other view and not the source.
class ViewRunner {
 public:
  /// Starts the thread. `log` and `stop` must outlive it; both are interrupted
  /// before Join.
  /// `view` is the one of `options`. `tables`: the source's, for a view that must be
  /// derived anew; `copy`: for one that comes when the log's beginning is gone.
  ViewRunner(const ViewOptions& options, std::unique_ptr<View> view,
             std::vector<std::string> tables, ViewCopier copy, const EventLog& log,
             const StopSignal& stop);
  ~ViewRunner() { Join(); }
  void Join();
  ViewState state() const;
  ViewPassed passed() const;

 private:
  void Run();
  /// Opens the sink and applies until something fails or the stop.
  Status Follow();
  Result<ViewPosition> OpenView();
  Status CopyInto(ViewPosition& at);
  /// `status` of a copy; refused for its rows so often that an event would be parked, it is
  /// for good: there is no event to park, and another copy costs the source as much again.
  Status AfterCopyRefusal(const Status& status);
  /// Drops the events from the first that the view may not see, and says why.
  Status Admit(std::vector<LoggedEvent>& events, EventLogReader& reader);
  /// Applies events from the first, all of which reach up to `to`, or parks the first when it
  /// touches rows that are held up.
  Status ApplyFree(std::vector<LoggedEvent>& events, EventPosition to);
  /// Applies `events`, all of which reach up to `to`, in one atomic write.
  Status ApplyAll(const std::vector<LoggedEvent>& events, EventPosition to);
  /// Whether it applied what follows from memory; if not, it is to be read.
  Result<bool> ApplyRecent(EventLogReader& reader);
  /// `status` of Apply, unless the first event is to blame for good: then it is parked.
  Status AfterRefusal(const std::vector<LoggedEvent>& events, const Status& status);
  Status CheckFree(const std::vector<LoggedEvent>& parts) const;
  Status ParkEvent(const LoggedEvent& event, const std::string& reason);
  Status LoadParked();
  Status RetryIfAsked(EventLogReader& reader);
  /// The parked event at `position`; nothing when the log has it no more.
  static Result<std::optional<LoggedEvent>> ReadParked(EventPosition position,
                                                       EventLogReader& reader);
  /// Applies the parked event, or keeps it with the new reason.
  Status Retry(const ParkedEvent& event, EventLogReader& reader, ParkedRows& still_held);
  /// What follows on the view's position: something, when the log's end is behind it.
  Result<std::vector<LoggedEvent>> ReadNext(EventLogReader& reader, const LogEnd& end);
  Status ApplyUpTo(EventPosition held, EventLogReader& reader, const LogEnd& end);
  uint64_t applied() const;  // sequence number of the last event applied
  /// Whether `events` ends within a large transaction: then only whole ones are left in it,
  /// or, when there is none, the large one's first parts.
  static bool EndsInParts(std::vector<LoggedEvent>& events);
  /// Applies a large transaction that begins with `events`, in one atomic write.
  Status ApplyParts(std::vector<LoggedEvent> events, EventLogReader& reader);
  Status ApplyNext(EventLogReader& reader, const LogEnd& end);
  void SetPosition(EventPosition position, uint64_t sequence);
  void SetParked();
  void SetHealth(const Status& health);

  const std::unique_ptr<View> view_;
  const std::vector<std::string> tables_;
  const ViewCopier copy_;
  SchemaGuard guard_;  // of the thread, as is what follows
  std::vector<ParkedEvent> parked_;
  ParkedRows held_;              // the rows of `parked_`
  EventPosition careful_until_;  // up to here one event at a time: one of them was refused
  EventPosition refused_at_;     // by the sink or the derivation, for what the event is
  int refusals_ = 0;             // so many times
  TimePoint look_for_retry_at_{};
  TimePoint copy_again_at_{};  // the last one failed
  int copy_refusals_ = 0;      // so many in a row were refused for the rows
  Status copy_refused_;        // for good; Ok: not
  const EventLog& log_;
  const StopSignal& stop_;
  EventPosition position_;  // of the thread, as is
  bool failed_ = false;     // whether the last Follow has
  TimePoint advanced_at_{};
  mutable std::mutex mutex_;
  ViewState state_;                            // guarded by mutex_
  uint64_t sequence_ = 0;                      // of the last event applied; guarded by mutex_
  ViewPassed passed_;                          // but for what is parked; guarded by mutex_
  std::optional<EventPosition> first_parked_;  // guarded by mutex_
  std::thread thread_;                         // last: starts when the rest is made
};

}  // namespace indoubt::cdc_internal
