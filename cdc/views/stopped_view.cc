#include "cdc/views/stopped_view.h"

#include <fmt/format.h>

#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/views/schema_guard.h"

namespace indoubt::cdc_internal {
namespace {

// Of the next event, or of all parts of a large one, which are taken together or not at all.
Status CheckNextShapes(const std::string& log_path, const LogGlance& glance,
                       const ViewOptions& view, EventPosition from) {
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(log_path, SqliteDatabase::Mode::kReadOnly));
  LogTail tail;
  tail.end = glance.end();
  tail.begin = glance.begin();
  const auto reader = MakeSqliteEventLogReader(std::move(db), tail);
  SchemaGuard guard(view.derivation.needs, view.schema_rule);
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const auto events, reader->Read(from, 1, 1));
    if (events.empty()) return Status::Ok();
    INDOUBT_RETURN_IF_ERROR(guard.Check(events.front(), *reader));
    if (events.front().transaction->part() == 0) return Status::Ok();
    from = events.front().position;
  }
}

}  // namespace

Status CheckPosition(const ViewPosition& at, const std::string& log_id, EventPosition from,
                     Lsn complete) {
  if (!at.log_id.empty() && at.log_id != log_id) {
    return Status(StatusCode::kRefused,
                  fmt::format("its data was derived from another event log ({}); rebuild it "
                              "(indoubt cdc rebuild)",
                              at.log_id.substr(0, 40)));
  }
  if (at.position < from) {
    return Status(StatusCode::kRefused,
                  fmt::format("it is at {}, and the event log has no longer all that follows: "
                              "it is complete from {} on; rebuild it (indoubt cdc rebuild)",
                              at.position.lsn.ToString(), from.lsn.ToString()));
  }
  if (at.position.lsn > complete) {
    return Status(
        StatusCode::kCorrupt,
        fmt::format("it is at {}, beyond the event log's end {}: the log lost what it "
                    "had; begin with a new log and empty sinks",
                    at.position.lsn.ToString(), complete.ToString()));
  }
  return Status::Ok();
}

Status WhyStopped(const std::string& log_path, LogGlance& glance, const ViewOptions& view,
                  const ViewPosition& at) {
  if (glance.state() != EventLogState::kStreaming || at.log_id.empty()) return Status::Ok();
  if (at.log_id != glance.id()) {
    INDOUBT_ASSIGN_OR_RETURN(const bool former, glance.WasId(at.log_id));
    if (former) return Status::Ok();  // its worker clears it and goes on
  }
  const EventPosition from = glance.begin().whole_from();
  // Its worker copies it from the source.
  if (at.position.lsn == Lsn{} && at.position < from) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(CheckPosition(at, glance.id(), from, glance.end().complete));
  if (at.position >= glance.end().last) return Status::Ok();
  return CheckNextShapes(log_path, glance, view, at.position);
}

}  // namespace indoubt::cdc_internal
