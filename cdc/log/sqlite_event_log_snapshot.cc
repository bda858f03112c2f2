#include <fmt/format.h>

#include "base/gid.h"
#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log_writer.h"

namespace indoubt::cdc_internal {

Status SqliteEventLog::Restart() {
  INDOUBT_CHECK(state_ == EventLogState::kStreaming, "only what streams can lose its slot");
  const std::string next(LogId::Random().text());
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(
      db_->Execute(fmt::format("INSERT INTO former_ids SELECT id FROM log;"
                               "UPDATE log SET id = '{}', state = 1, complete = 0;"
                               "DELETE FROM events; DELETE FROM staged; DELETE FROM outcomes;"
                               "DELETE FROM snapshot; {}",
                               next, kBeginningReset)));
  INDOUBT_RETURN_IF_ERROR(history_.Clear());
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  tail_.recent.Clear();
  tail_.SetBegin({});
  former_ids_.insert(id_);
  id_ = next;
  state_ = EventLogState::kSnapshot;
  Publish(LogEnd{});
  return Status::Ok();
}

Status SqliteEventLog::BeginSnapshot(const std::string& slot) {
  INDOUBT_CHECK(state_ != EventLogState::kStreaming,
                "a log takes one snapshot, at its beginning");
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(
      db_->Execute("DELETE FROM events; DELETE FROM staged; DELETE FROM outcomes; "
                   "DELETE FROM snapshot"));
  INDOUBT_RETURN_IF_ERROR(history_.Clear());
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery update,
                           db_->Prepare("UPDATE log SET state = 1, slot = ?1"));
  update.BindText(1, slot);
  INDOUBT_RETURN_IF_ERROR(update.Run());
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  state_ = EventLogState::kSnapshot;
  slot_ = slot;
  return Status::Ok();
}

Status SqliteEventLog::AppendSnapshotChunk(const events::Transaction& chunk,
                                           const events::SnapshotProgress& progress) {
  INDOUBT_CHECK(state_ == EventLogState::kSnapshot, "a snapshot's chunk outside of a snapshot");
  INDOUBT_CHECK(progress.next_ordinal() > 0, "a chunk of which the progress does not know");
  const EventPosition position{Lsn{progress.lsn()}, progress.next_ordinal() - 1};
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(history_.Begin());
  INDOUBT_RETURN_IF_ERROR(Insert(position.ordinal + 1, position, chunk));
  INDOUBT_RETURN_IF_ERROR(KeepProgress(progress));
  return CommitEvents(transaction);
}

Status SqliteEventLog::SaveSnapshotProgress(const events::SnapshotProgress& progress) {
  INDOUBT_CHECK(state_ == EventLogState::kSnapshot, "a snapshot's progress outside of one");
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_->Prepare("DELETE FROM events WHERE sequence > ?1"));
  query.Bind(1, progress.next_ordinal());
  INDOUBT_RETURN_IF_ERROR(query.Run());
  INDOUBT_RETURN_IF_ERROR(KeepProgress(progress));
  return transaction.Commit();
}

Status SqliteEventLog::KeepProgress(const events::SnapshotProgress& progress) {
  INDOUBT_RETURN_IF_ERROR(db_->Execute("DELETE FROM snapshot"));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_->Cached("INSERT INTO snapshot VALUES (?1)"));
  query->BindBlob(1, progress.SerializeAsString());
  return query->Run();
}

Result<std::optional<events::SnapshotProgress>> SqliteEventLog::ReadSnapshotProgress() {
  const std::lock_guard writing(writing_);
  INDOUBT_RETURN_IF_ERROR(CheckPlace());
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, db_->Prepare("SELECT progress FROM snapshot"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  if (!found) return std::optional<events::SnapshotProgress>();
  events::SnapshotProgress progress;
  if (progress.ParseFromString(query.Bytes(0))) return std::optional(std::move(progress));
  return Status(StatusCode::kCorrupt,
                fmt::format("event log {}: the snapshot's progress is not what was written; "
                            "restore the file, or remove it, drop the slot and begin anew",
                            db_->path()));
}

Status SqliteEventLog::AmendSnapshotProgress(const events::SnapshotProgress& progress) {
  INDOUBT_CHECK(state_ == EventLogState::kStreaming, "a snapshot that is not finished");
  const std::lock_guard writing(writing_);
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(KeepProgress(progress));
  return transaction.Commit();
}

Status SqliteEventLog::FinishSnapshot(const events::SnapshotProgress& progress) {
  INDOUBT_CHECK(state_ == EventLogState::kSnapshot, "the end of a snapshot that was not begun");
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(db_->Execute("UPDATE log SET state = 2"));
  INDOUBT_RETURN_IF_ERROR(KeepProgress(progress));
  INDOUBT_RETURN_IF_ERROR(SetComplete(Lsn{progress.lsn()}));
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  state_ = EventLogState::kStreaming;
  INDOUBT_ASSIGN_OR_RETURN(const LogEnd end, ReadEnd());
  Publish(end);
  return Status::Ok();
}

}  // namespace indoubt::cdc_internal
