// The CDC worker: one PostgreSQL source, one event log, any number of views.
//
//   source --slot--> [source thread] --> [appender thread] --append, sync--> event log
//                                                                              |
//       each view at its own position,     redis view <--[view thread]---------+
//       on its own thread                 sqlite view <--[view thread]---------+
//
// Every change is applied to every view exactly once, whatever is killed: whole
// transactions enter the log in commit order with their LSN as key, a view writes
// derived data and its position in one atomic write, and the slot is confirmed only
// up to what is durable in the log. docs/cdc.md says why that holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/lsn.h"
#include "cdc/retention.h"
#include "cdc/schema_rule.h"

namespace indoubt {

struct ViewPosition;  // view.h

/// kSearch: a SQLite file with a full-text index beside each table (search_view.h).
enum class ViewKind { kRedis, kSqlite, kSearch };

/// What to do when the slot was dropped, invalidated, or moved past what the log has.
enum class OnSlotLoss {
  kStop,      // end with an error that names the gap
  kSnapshot,  // copy the tables again and derive every view anew
};

struct ViewOptions {
  std::string name;  // [A-Za-z0-9_-]{1,32}; the sink stores its position under it
  ViewKind kind = ViewKind::kRedis;
  /// Redis: "redis://[user:password@]host:port/db" or "unix:///path?db=0", never
  /// shown. SQLite and search: the path of the file, made if absent.
  std::string sink;
  /// The one of its kind is used, of kSearch that of SQLite: see FindDerivation.
  Derivation derivation;
  SchemaRule schema_rule = SchemaRule::kBackward;
  /// kSearch: what is indexed, "<table>.<column>" each; none: all columns of text.
  std::vector<std::string> search_columns{};
  /// How long a Redis may take for one answer.
  Duration sink_patience = std::chrono::seconds(5);
};

struct CdcOptions {
  std::string source_dsn;           // libpq connection string; never shown
  std::vector<std::string> tables;  // "orders" or "schema.orders"; at least one
  std::string slot = "indoubt";     // [a-z0-9_]{1,63}
  std::string publication = "indoubt";
  OnSlotLoss on_slot_loss = OnSlotLoss::kStop;
  std::string event_log_path;  // of the SQLite file, made if absent
  RetentionOptions retention;
  std::vector<ViewOptions> views;
  /// How long Start may take to reach the source, and for each chunk of the snapshot.
  Duration start_timeout = std::chrono::seconds(120);
  /// Making a slot waits for every transaction that runs, or is prepared, at the source:
  /// for each at most so long; then kLocked names what is in the way. Also for each table's
  /// lock before a copy.
  Duration slot_lock_timeout = std::chrono::seconds(30);
};

struct ViewState {
  std::string name;
  EventPosition position;     // everything up to here is applied, durably
  uint64_t backlog = 0;       // transactions in the log that it has not applied
  Status health;              // Ok, or why it does not move at present
  uint64_t parked = 0;        // events that it could not take and has set aside
  std::string parked_reason;  // of the last of them
};

struct CdcStatus {
  Lsn source;            // how far the source was last heard to be
  Lsn logged;            // everything up to here is durable in the event log
  Lsn confirmed_flush;   // what the slot was last told
  uint64_t staged = 0;   // transactions that the source has prepared and not ended
  Status source_health;  // Ok, or why nothing comes in at present
  Status retention;      // Ok, or why the log's oldest events are not removed at present
  Status last_loss;      // of the slot that a new snapshot was taken for; Ok if none was
  std::vector<ViewState> views;
};

/// Thread-safe.
class CdcWorker {
 public:
  /// Opens or makes log, publication and slot; on the first start copies the
  /// tables (a snapshot that the stream continues without gap or overlap) into the
  /// log; then streams in the background. kInvalidArgument for options that are wrong in
  /// themselves, kLocked when another worker has the log, or a transaction of the source is in
  /// the slot's way, kUnavailable when the source cannot be reached, kNotFound when a table is
  /// missing, kRefused when the slot, the publication or a view belongs to something else.
  /// With OnSlotLoss::kStop kNotFound, too, when the slot of an existing log is gone, and
  /// kCorrupt when it was invalidated, or moved beyond what the log has. A view whose sink is
  /// down does not fail the start.
  static Result<std::unique_ptr<CdcWorker>> Start(const CdcOptions& options);
  ~CdcWorker();

  CdcStatus status() const;
  /// Ok, or the worst of what is wrong now: a lost slot (nothing more comes in; code kNotFound
  /// or kCorrupt), the source unreachable, a view that fails, what retention cannot remove.
  Status health() const;
  /// Whether the source has stopped for good (a lost slot, say); health() says why.
  bool source_lost() const;
  /// Stops and joins all threads; what is applied stays. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit CdcWorker(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The view `name` of the options; kInvalidArgument, with the names there are, when it is
/// none of them.
Result<ViewOptions> FindView(const CdcOptions& options, const std::string& name);

/// What the view's sink holds, read from outside of the worker; empty when it has nothing
/// yet.
Result<ViewPosition> ReadViewPosition(const ViewOptions& options);

/// The positions that the views' sinks hold, read from outside of the worker; 0/0
/// for a view that has none yet. A view that has reached
/// pg_current_wal_flush_lsn() of the source shows every transaction committed
/// before: positions also move, within a fraction of a second, while nothing of
/// the tables changes. Errors name the view.
Result<std::map<std::string, Lsn>> ReadPositions(const CdcOptions& options);

/// An event that a view has set aside, for a person.
struct ParkedReport {
  EventPosition position;
  std::string reason;
};
/// What the view's sink says is parked, in the log's order, read from outside of the worker.
Result<std::vector<ParkedReport>> ReadParkedEvents(const ViewOptions& view);
/// Asks the view's worker to try them again, durably: it does within a second, or at its next
/// start. Whether it still has to.
Status AskForRetry(const ViewOptions& view);
Result<bool> RetryIsPending(const ViewOptions& view);

/// The source's pg_current_wal_flush_lsn().
Result<Lsn> ReadSourceFlushLsn(const std::string& source_dsn, TimePoint deadline);

/// Waits until every view has reached what the source had flushed when this was
/// called. kDeadlineExceeded names the views that have not, and how far they are.
Status WaitForViews(const CdcOptions& options, TimePoint deadline);

}  // namespace indoubt
