#include "cdc/log/sqlite_event_log.h"

#include <fmt/format.h>

#include "base/gid.h"
#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log_writer.h"

namespace indoubt {
namespace cdc_internal {
namespace {

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS log(
  version INTEGER NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL, slot TEXT NOT NULL,
  complete INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events(
  sequence INTEGER PRIMARY KEY, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot(progress BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS former_ids(id TEXT PRIMARY KEY);
)";

}  // namespace

Status SqliteEventLog::Load() {
  INDOUBT_RETURN_IF_ERROR(db_->Execute(kSchema));
  INDOUBT_RETURN_IF_ERROR(db_->Execute(kSchemasSchema));
  INDOUBT_RETURN_IF_ERROR(
      db_->Execute(fmt::format("INSERT INTO log SELECT {}, '{}', 0, '', 0 "
                               "WHERE NOT EXISTS (SELECT 1 FROM log)",
                               kEventLogVersion, LogId::Random().text())));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db_->Prepare("SELECT version, id, state, slot FROM log"));
  INDOUBT_RETURN_IF_ERROR(query.Next().status());
  if (query.U64(0) < kOldestEventLogVersion || query.U64(0) > kEventLogVersion ||
      query.U64(2) > 2) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("{} is an event log of version {}, state {}; this program "
                              "reads versions {} to {}",
                              db_->path(), query.U64(0), query.U64(2), kOldestEventLogVersion,
                              kEventLogVersion));
  }
  id_ = query.Bytes(1);
  state_ = static_cast<EventLogState>(query.U64(2));
  slot_ = query.Bytes(3);
  query.Reset();
  INDOUBT_RETURN_IF_ERROR(ReadFormerIds());
  INDOUBT_RETURN_IF_ERROR(history_.Load());
  INDOUBT_RETURN_IF_ERROR(db_->Execute(kStagedSchema));
  INDOUBT_RETURN_IF_ERROR(db_->Execute(
      fmt::format("UPDATE log SET version = {0} WHERE version < {0}", kEventLogVersion)));
  INDOUBT_RETURN_IF_ERROR(db_->Execute(kBeginningSchema));
  INDOUBT_ASSIGN_OR_RETURN(tail_.begin, ReadLogBegin(*db_));
  if (state_ == EventLogState::kStreaming) {
    INDOUBT_ASSIGN_OR_RETURN(tail_.end, ReadEnd());
    INDOUBT_RETURN_IF_ERROR(RemoveParts());
  }
  return Status::Ok();
}

Result<LogEnd> SqliteEventLog::ReadEnd() {
  LogEnd end;
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery complete, db_->Prepare("SELECT complete FROM log"));
  INDOUBT_RETURN_IF_ERROR(complete.Next().status());
  end.complete = Lsn{complete.U64(0)};
  complete.Reset();
  INDOUBT_RETURN_IF_ERROR(ReadLastEvent(*db_, end));
  INDOUBT_ASSIGN_OR_RETURN(end.staged, staged_.Count());
  return end;
}

Status SqliteEventLog::CheckPlace() const {
  const Status placed = db_->CheckPlace();
  if (placed.ok()) return placed;
  return Status(placed.code(),
                fmt::format("event log: {}; put it back with its -wal, or drop slot \"{}\", "
                            "take what is left of the log and the views' data away, and begin "
                            "anew",
                            placed.message(), slot_));
}

Status SqliteEventLog::ReadFormerIds() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery former, db_->Prepare("SELECT id FROM former_ids"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, former.Next());
    if (!more) return Status::Ok();
    former_ids_.insert(former.Bytes(0));
  }
}

void SqliteEventLog::Publish(const LogEnd& end) {
  {
    const std::lock_guard lock(tail_.mutex);
    tail_.end = end;
  }
  tail_.changed.notify_all();
}

LogEnd SqliteEventLog::WaitBeyond(EventPosition seen, TimePoint deadline) const {
  std::unique_lock lock(tail_.mutex);
  tail_.changed.wait_until(lock, deadline,
                           [&] { return tail_.interrupted || tail_.end.last > seen; });
  return tail_.end;
}

void SqliteEventLog::Interrupt() {
  {
    const std::lock_guard lock(tail_.mutex);
    tail_.interrupted = true;
  }
  tail_.changed.notify_all();
}

Result<std::unique_ptr<EventLogReader>> SqliteEventLog::NewReader() const {
  {
    const std::lock_guard writing(writing_);  // whose handle it is
    INDOUBT_RETURN_IF_ERROR(CheckPlace());
  }
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(db_->path(), SqliteDatabase::Mode::kReadOnly));
  return MakeSqliteEventLogReader(std::move(db), tail_);
}

}  // namespace cdc_internal

Result<std::unique_ptr<EventLog>> OpenSqliteEventLog(const std::string& path) {
  using cdc_internal::SqliteDatabase;
  INDOUBT_ASSIGN_OR_RETURN(auto lock, PosixFileSystem().Lock(path + ".lock"));
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kShrinkingWriter));
  auto log = std::make_unique<cdc_internal::SqliteEventLog>(std::move(lock), std::move(db));
  INDOUBT_RETURN_IF_ERROR(log->Load());
  return std::unique_ptr<EventLog>(std::move(log));
}

}  // namespace indoubt
