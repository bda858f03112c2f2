// A snapshot that was copied in several attempts shows each range of rows as of the attempt
// that copied it. The stream begins at the first: of each transaction that a later attempt
// saw already, the changes of that attempt's rows must go, and no others. Private to this
// room.
//
// Which attempt saw a transaction, its xid and the attempt's pg_current_snapshot() say
// exactly. Whose a row is, the boundaries say that the attempt wrote down when it began; only
// the source can compare two keys, so it is asked, for the few transactions concerned.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "cdc/log/shape_table.h"
#include "cdc/pg_connection.h"
#include "cdc/source/slot.h"
#include "proto/events.pb.h"

namespace indoubt::cdc_internal {

/// pg_current_snapshot()'s text form, "xmin:xmax:xip,xip,...".
class VisibleTransactions {
 public:
  /// kCorrupt for anything else.
  static Result<VisibleTransactions> Parse(const std::string& text);
  /// `xid` is of a transaction that has committed, near the snapshot (within 2^31).
  bool Sees(uint32_t xid) const;

 private:
  uint64_t xmin_ = 0, xmax_ = 0;
  std::vector<uint64_t> running_;  // sorted
};

/// Belongs to one thread.
class SnapshotFilter {
 public:
  /// `stop` must outlive it.
  SnapshotFilter(SlotOptions source, events::SnapshotProgress progress, const StopSignal& stop);

  /// Takes out of `transaction`, as it came, what the snapshot shows already. `shapes`: what it
  /// names. Nothing is left
  /// to do beyond the snapshot's end: then it costs a comparison. kUnavailable when the
  /// source cannot be asked.
  Status Apply(events::Transaction& transaction, const ShapeTable& shapes);

 private:
  struct Part {  // a change's row on one side
    int change;
    bool before;
    bool kept = false;
  };
  /// The first attempt that saw it, counted from the second; none when none did.
  Result<const events::SnapshotProgress::Attempt*> FirstToSee(uint32_t xid);
  Status Compare(const events::SnapshotProgress::Table& table,
                 const events::SnapshotProgress::Boundary& boundary,
                 const events::Transaction& transaction, std::vector<Part*> parts);

  const SlotOptions source_;
  const events::SnapshotProgress progress_;
  const StopSignal& stop_;
  std::vector<VisibleTransactions> seen_;  // of each attempt
  std::unique_ptr<PgConnection> connection_;
};

}  // namespace indoubt::cdc_internal
