// Reading your own writes from a view: a write's token is its LSN, and a reader waits for it.
//
//   the writer, after its commit:   SELECT pg_current_wal_flush_lsn()      -> token
//   the reader, before it reads:    ViewWaiter::WaitFor(token, deadline)
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/lsn.h"
#include "cdc/worker.h"

namespace indoubt {

/// A connection to one view's sink. Keep it: it is made once. Thread-compatible.
class ViewWaiter {
 public:
  /// kUnavailable when the sink cannot be reached. kNotFound when a view in a file (SQLite,
  /// search) has nothing yet: there may be no file to wait in. A Redis view that has nothing
  /// yet is at 0/0.
  static Result<std::unique_ptr<ViewWaiter>> Connect(const ViewOptions& view);
  virtual ~ViewWaiter() = default;

  /// Everything that was committed up to here is shown.
  virtual Result<EventPosition> Position() = 0;

  /// Returns Ok once the view shows everything up to `token`: what is read from the sink
  /// afterwards, on any connection, is at least as new. kDeadlineExceeded says how far the
  /// view is; other errors are the sink's, and then a new waiter is needed.
  Status WaitFor(Lsn token, TimePoint deadline);
};

}  // namespace indoubt
