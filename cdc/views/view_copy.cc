#include "cdc/views/view_copy.h"

#include <fmt/format.h>

#include "base/failpoint.h"
#include "cdc/rebuild/rebuild_feed.h"

namespace indoubt::cdc_internal {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{5};

// The log's appender tells only of events, and there may be none.
Status AwaitLog(const EventLog& log, Lsn lsn, const StopSignal& stop, TimePoint deadline) {
  while (log.end().complete < lsn) {
    if (stop.is_set()) return Status(StatusCode::kAborted, "the CDC worker is stopping");
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("the event log is at {}, not yet at {} of the copied tables",
                                log.end().complete.ToString(), lsn.ToString()));
    }
    stop.SleepUntil(SystemClock().Now() + kBetweenLooks);
  }
  return Status::Ok();
}

}  // namespace

bool NeedsCopy(const ViewPosition& at, const EventLog& log) {
  if (!at.log_id.empty() && at.log_id != log.id()) return false;  // not of this log
  const bool begun = at.position.lsn.value == 0 && at.position.ordinal > 0;
  return begun || (at.position == EventPosition{} && log.begin().whole_from() > at.position);
}

Result<ViewPosition> CopyTables(View& view, const SlotOptions& slot,
                                const std::vector<std::string>& tables, const EventLog& log,
                                const StopSignal& stop, Duration patience) {
  INDOUBT_ASSIGN_OR_RETURN(auto source, SourceAtLsn::Open(slot, tables, stop, patience));
  const ViewPosition to{log.id(), {source->lsn(), 0}};
  INDOUBT_RETURN_IF_ERROR(source->DeriveRows(view, log.id())
                              .status()
                              .WithContext("at " + to.position.lsn.ToString()));
  source.reset();
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_view_copied", view.name()));
  // A view beyond the log's end would be taken for one whose log has lost something.
  INDOUBT_RETURN_IF_ERROR(AwaitLog(log, to.position.lsn, stop, SystemClock().Now() + patience));
  INDOUBT_RETURN_IF_ERROR(ApplyThroughHolds(view, {}, to));
  return to;
}

}  // namespace indoubt::cdc_internal
