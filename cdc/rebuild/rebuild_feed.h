// Where a rebuild's rows come from: the event log, read beside its worker, and the source's
// tables at one LSN. Private to this room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/pg_connection.h"
#include "cdc/source/snapshot.h"
#include "cdc/view.h"
#include "cdc/views/schema_guard.h"

namespace indoubt::cdc_internal {

/// View::Apply, whatever readers' holds come and go.
Status ApplyThroughHolds(View& view, const std::vector<LoggedEvent>& events,
                         const ViewPosition& to);

/// Belongs to one thread.
class LogFeed {
 public:
  /// kUnavailable while the log's first snapshot is not complete; errors as LogGlance.
  static Result<std::unique_ptr<LogFeed>> Open(const std::string& path);

  const std::string& log_id() const { return id_; }
  /// Whether a replay of all its events gives what one of all that ever came would give: of
  /// `upserts`, see Derivation.
  Result<bool> CanBeReplayed(bool upserts);
  /// Whether a table has had more than one shape in this log, or was made anew.
  Result<bool> ShapesChanged();

  /// From now on an event whose shapes break `rule` is an error, kUnsupported.
  void Guard(const NeededColumns& needs, SchemaRule rule) { guard_.emplace(needs, rule); }

  /// Brings `view`, which is at `at` and whose only feeder this is, to `target` exactly, which
  /// moves `at`. First waits until the log reaches it: kDeadlineExceeded when that takes
  /// longer than `patience`. An event that the view cannot take is an error.
  Status FollowTo(View& view, EventPosition& at, EventPosition target, Duration patience);
  /// The same to the log's present end.
  Status FollowToEnd(View& view, EventPosition& at);

 private:
  explicit LogFeed(std::string path) : path_(std::move(path)) {}
  /// How far the log is now. kAborted when it was begun anew.
  Status LookAgain();
  Status AwaitEnd(EventPosition target, TimePoint deadline);
  /// Applies one batch of what comes before or at `target`; false when nothing is left.
  Result<bool> Step(View& view, EventPosition& at, EventPosition target);
  Status Admit(const std::vector<LoggedEvent>& events);
  Status ApplyParts(View& view, EventPosition& at, std::vector<LoggedEvent> events);

  const std::string path_;
  std::string id_;
  LogTail tail_;
  std::unique_ptr<EventLogReader> reader_;  // after tail_: goes first
  std::optional<SchemaGuard> guard_;
};

/// The source's tables as they were at one LSN. Belongs to one thread.
class SourceAtLsn {
 public:
  /// Makes a temporary slot for it, see ExportSnapshot, and locks `tables` as long as it is
  /// there, see LockSourceTables. `stop` must outlive it.
  static Result<std::unique_ptr<SourceAtLsn>> Open(const SlotOptions& slot,
                                                   const std::vector<std::string>& tables,
                                                   const StopSignal& stop, Duration patience);
  Lsn lsn() const { return lsn_; }
  /// Derives all rows of the tables into `view`, which is empty and open, and leaves it at 0/0,
  /// with the number of chunks. Returns how many rows there were.
  Result<uint64_t> DeriveRows(View& view, const std::string& log_id);
  /// The same, and leaves it at lsn().
  Result<uint64_t> DeriveInto(View& view, const std::string& log_id);

 private:
  SourceAtLsn() = default;
  Result<uint64_t> DeriveTable(View& view, const std::string& log_id,
                               const events::SnapshotProgress::Table& table, uint64_t& chunks);
  Duration patience_{};
  Lsn lsn_;
  std::vector<events::SnapshotProgress::Table> tables_;
  std::unique_ptr<PgConnection> walsender_, reader_;
};

}  // namespace indoubt::cdc_internal
