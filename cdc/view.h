// A view: a store that is derived from the event log.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/derivation.h"
#include "cdc/event_log.h"
#include "cdc/lsn.h"

namespace indoubt {

/// What a sink stores beside the derived data.
struct ViewPosition {
  std::string log_id;  // empty: nothing was applied yet
  EventPosition position;
  friend bool operator==(const ViewPosition&, const ViewPosition&) = default;

  /// "<log id> <lsn> <ordinal>".
  std::string ToString() const;
  /// The empty text is the empty position. kCorrupt for anything else that
  /// ToString cannot give.
  static Result<ViewPosition> Parse(const std::string& text);
};

/// An event that a view could not take and has set aside. The event itself is in the log.
struct ParkedEvent {
  EventPosition position;
  std::string reason;             // for a person
  std::vector<std::string> rows;  // names of the rows whose later changes wait for it
};

/// One sink with its derivation. Belongs to one thread.
class View {
 public:
  virtual ~View() = default;
  virtual const std::string& name() const = 0;

  /// Connects, or connects anew, and reads the position that the sink holds. After
  /// any error of Apply this must come first: the write may or may not have
  /// happened, and only the sink knows.
  virtual Result<ViewPosition> Open() = 0;

  /// Applies `events` in order and moves the position to `to`, in one atomic
  /// durable write, on condition that the sink's position still is the one that
  /// Open or the last Apply left. So a write that was thought lost, or a second
  /// worker, can never apply a change twice: whoever comes second gets kAborted.
  virtual Status Apply(const std::vector<LoggedEvent>& events, const ViewPosition& to) = 0;

  /// Apply in pieces, for a transaction that is too large to be held: Begin, Add as often as
  /// it takes, Commit. After an error in between, Open comes first, too; nothing was done.
  virtual Status Begin() = 0;
  virtual Status Add(const std::vector<LoggedEvent>& events) = 0;
  virtual Status Commit(const ViewPosition& to) = 0;

  /// Where a reader asks the view to stop for a moment (consistent_cut.h): it is not to go
  /// beyond. None: nowhere.
  virtual Result<std::optional<EventPosition>> Held() { return std::optional<EventPosition>(); }
  /// Whether the last Apply failed only because that had changed: nothing was done, and it
  /// may be called again.
  virtual bool hold_changed() const { return false; }

  /// What was set aside and not applied since, in the log's order.
  virtual Result<std::vector<ParkedEvent>> Parked() = 0;
  /// Stores `event` beside the position and moves that to `to`, on Apply's terms; one that
  /// is parked already gets the new reason.
  virtual Status Park(const ParkedEvent& event, const ViewPosition& to) = 0;
  /// Applies a parked event after all and forgets that it was parked; the position stays.
  /// On Apply's terms.
  virtual Status ApplyParked(const LoggedEvent& event) = 0;
  /// Whether somebody has asked for the parked ones to be tried again.
  virtual Result<bool> RetryAsked() = 0;
  /// They were. On Apply's terms.
  virtual Status EndRetry() = 0;

  /// Removes all derived data and what is parked, which came from the source's `tables` (names
  /// without schema), and moves the position to `to`, on Apply's terms. kUnsupported when the
  /// derivation does not say which data is its own.
  virtual Status Clear(const std::vector<std::string>& tables, const ViewPosition& to) = 0;
};

/// The shape as derivations see it.
SourceRelation ToSourceRelation(const events::Relation& shape);

/// Gives every change its rows as values, in the place of what the stream brought. kCorrupt
/// when a row does not fit its shape. `shapes` are what it names, if it names any.
Status ExpandRows(events::Transaction& transaction, const ShapeTable* shapes);

/// Calls `visit` for each row change of `event` in order; stops at the first error.
/// kCorrupt when the event does not fit its own shapes.
Status ForEachRowChange(const LoggedEvent& event,
                        const std::function<Status(const RowChange&)>& visit);

}  // namespace indoubt
