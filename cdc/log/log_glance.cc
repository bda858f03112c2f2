#include "cdc/log/log_glance.h"

#include <fmt/format.h>
#include <unistd.h>

#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/log/staged.h"

namespace indoubt::cdc_internal {

Result<LogGlance> LogGlance::Open(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) {
    return Status(
        StatusCode::kNotFound,
        fmt::format(
            "there is no event log {} yet: no worker has run; `indoubt cdc run` makes it",
            path));
  }
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kReadOnly));
  LogGlance glance(std::move(db));
  INDOUBT_RETURN_IF_ERROR(glance.Read());
  return glance;
}

Status LogGlance::Read() {
  INDOUBT_RETURN_IF_ERROR(db_->Execute("BEGIN"));  // one state of the file
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery log,
                           db_->Prepare("SELECT version, id, state, complete, slot FROM log"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, log.Next());
  if (!found || log.U64(0) < kOldestEventLogVersion || log.U64(0) > kEventLogVersion ||
      log.U64(2) > 2) {
    return Status(StatusCode::kRefused,
                  fmt::format("{} is not an event log that this program reads", db_->path()));
  }
  id_ = log.Bytes(1);
  state_ = static_cast<EventLogState>(log.U64(2));
  end_.complete = Lsn{log.U64(3)};
  slot_ = log.Bytes(4);
  // Events of an unfinished snapshot are nobody's yet.
  if (state_ == EventLogState::kStreaming) {
    INDOUBT_RETURN_IF_ERROR(ReadLastEvent(*db_, end_));
  }
  if (log.U64(0) > kWholeEventLogVersion) {
    INDOUBT_ASSIGN_OR_RETURN(begin_, ReadLogBegin(*db_));
  }
  if (log.U64(0) == kOldestEventLogVersion) return Status::Ok();  // it stages nothing
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery staged, db_->Prepare("SELECT count(*) FROM staged"));
  INDOUBT_RETURN_IF_ERROR(staged.Next().status());
  end_.staged = staged.U64(0);
  return Status::Ok();
}

Result<std::optional<OldestEvent>> LogGlance::Oldest() {
  if (state_ != EventLogState::kStreaming) return std::optional<OldestEvent>();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_->Prepare("SELECT lsn, ordinal, payload FROM events "
                                        "ORDER BY sequence LIMIT 1"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  if (!found) return std::optional<OldestEvent>();
  return std::optional(
      OldestEvent{{Lsn{query.U64(0)}, query.U64(1)}, CommitMicrosOf(query.View(2))});
}

Result<uint64_t> LogGlance::UsedBytes() { return cdc_internal::UsedBytes(*db_); }

Result<events::SnapshotProgress> LogGlance::Progress() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery table,
                           db_->Prepare("SELECT 1 FROM sqlite_master WHERE name = 'snapshot'"));
  INDOUBT_ASSIGN_OR_RETURN(const bool kept, table.Next());
  if (!kept) return events::SnapshotProgress();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, db_->Prepare("SELECT progress FROM snapshot"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  events::SnapshotProgress progress;
  if (found && !progress.ParseFromString(query.Bytes(0))) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: the snapshot's progress is not what was written",
                              db_->path()));
  }
  return progress;
}

Result<bool> LogGlance::HasOutcome(Lsn lsn) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery table,
                           db_->Prepare("SELECT 1 FROM sqlite_master WHERE name = 'outcomes'"));
  INDOUBT_ASSIGN_OR_RETURN(const bool kept, table.Next());
  return kept ? cdc_internal::HasOutcome(*db_, lsn) : Result<bool>(false);
}

Result<bool> LogGlance::WasId(const std::string& id) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_->Prepare("SELECT 1 FROM former_ids WHERE id = ?1"));
  query.BindText(1, id);
  return query.Next();
}

Result<uint64_t> LogGlance::EventsUpTo(EventPosition position) {
  if (state_ != EventLogState::kStreaming) return uint64_t{0};
  return SequenceAtOrBefore(*db_, position);
}

Result<std::optional<int64_t>> LogGlance::CommitTimeAfter(EventPosition position) {
  if (state_ != EventLogState::kStreaming) return std::optional<int64_t>();
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t before, SequenceAtOrBefore(*db_, position));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_->Prepare("SELECT payload FROM events WHERE sequence > ?1 "
                                        "ORDER BY sequence LIMIT 1"));
  query.Bind(1, before);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  if (!found) return std::optional<int64_t>();
  events::Transaction event;
  if (!event.ParseFromString(query.Bytes(0))) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: the event after {} is not what was written",
                              db_->path(), position.lsn.ToString()));
  }
  // The snapshot's chunks have no time of their own: they are old, and nobody knows how.
  if (event.snapshot()) return std::optional<int64_t>();
  return std::optional(event.commit_micros());
}

}  // namespace indoubt::cdc_internal
