#include "cdc/sqlite_event_log.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/file.h"
#include "base/gid.h"
#include "cdc/log_compaction.h"
#include "cdc/log_trim.h"
#include "cdc/same_shape.h"
#include "cdc/sqlite_event_log_file.h"
#include "cdc/sqlite_handle.h"
#include "cdc/staged.h"

namespace indoubt {
namespace {

using cdc_internal::kEventLogVersion;
using cdc_internal::kOldestEventLogVersion;
using cdc_internal::kWholeEventLogVersion;
using cdc_internal::LogCompaction;
using cdc_internal::LogTail;
using cdc_internal::SameShape;
using cdc_internal::SqliteDatabase;
using cdc_internal::SqliteQuery;
using cdc_internal::SqliteTransaction;
using cdc_internal::StagedTransactions;

constexpr char kSchema[] = R"(
CREATE TABLE IF NOT EXISTS log(
  version INTEGER NOT NULL, id TEXT NOT NULL, state INTEGER NOT NULL, slot TEXT NOT NULL,
  complete INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events(
  sequence INTEGER PRIMARY KEY, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL,
  crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS snapshot(progress BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS former_ids(id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS schemas(
  oid INTEGER NOT NULL, lsn INTEGER NOT NULL, ordinal INTEGER NOT NULL, shape BLOB NOT NULL,
  PRIMARY KEY(oid, lsn, ordinal)) WITHOUT ROWID;
)";

class SqliteEventLog : public EventLog {
 public:
  SqliteEventLog(std::unique_ptr<FileLock> lock, std::unique_ptr<SqliteDatabase> db)
      : lock_(std::move(lock)), db_(std::move(db)), staged_(*db_) {}

  Status Load();

  const std::string& id() const override { return id_; }
  bool WasId(const std::string& id) const override { return former_ids_.contains(id); }
  EventLogState state() const override { return state_; }
  const std::string& slot() const override { return slot_; }

  Status Restart() override;
  Status BeginSnapshot(const std::string& slot) override;
  Status AppendSnapshotChunk(const events::Transaction& chunk,
                             const events::SnapshotProgress& progress) override;
  Status SaveSnapshotProgress(const events::SnapshotProgress& progress) override;
  Result<std::optional<events::SnapshotProgress>> ReadSnapshotProgress() override;
  Status FinishSnapshot(const events::SnapshotProgress& progress) override;
  Status Append(std::vector<events::Transaction> batch) override;
  std::vector<events::Transaction> Reclaim() override;
  Status DropParts() override;
  Status Advance(Lsn lsn) override;

  LogBegin begin() const override { return tail_.Begin(); }
  Result<bool> RemoveOldest(const Removal& removal) override;
  Result<bool> CompactOldest(EventPosition up_to) override;
  Result<bool> GiveSpaceBack() override;

  LogEnd end() const override { return tail_.Get(); }
  LogEnd WaitBeyond(EventPosition seen, TimePoint deadline) const override;
  void Interrupt() override;
  Result<std::unique_ptr<EventLogReader>> NewReader() const override;

 private:
  /// Adds `event` to the open transaction, to `next` and to what is published with it.
  Status Take(events::Transaction& event, LogEnd& next);
  Status Insert(uint64_t sequence, EventPosition position, const events::Transaction& event);
  /// A part: unless its transaction is known, it is stored where nobody reads it yet.
  Status TakePart(const events::Transaction& part, const LogEnd& next);
  /// Keeps the shapes of `event` that are new.
  Status RememberShapes(EventPosition position, const events::Transaction& event);
  Status ReadShapes();
  Status BeginCompaction(EventPosition up_to);
  Result<bool> CompactSome();
  Status RemoveParts();
  Status KeepProgress(const events::SnapshotProgress& progress);
  Status CommitEvents(SqliteTransaction& transaction);
  Status SetComplete(Lsn lsn);
  Status ReadFormerIds();
  /// The last event that the file holds, and how far it is complete.
  Result<LogEnd> ReadEnd();
  void Publish(const LogEnd& end);
  void KeepRecent(EventPosition before);

  std::unique_ptr<FileLock> lock_;
  std::mutex writing_;  // while streaming: a step of the removal, or one of the appender's
  std::unique_ptr<SqliteDatabase> db_;  // guarded by it, as is all that only writers need
  StagedTransactions staged_;
  std::string id_;
  std::set<std::string> former_ids_;
  std::map<uint32_t, events::Relation> shapes_;      // of each table the last in `schemas`
  std::map<uint32_t, events::Relation> new_shapes_;  // since then, in the open transaction
  EventLogState state_ = EventLogState::kNew;
  std::string slot_;
  std::string payload_;  // scratch, for its memory
  uint64_t parts_ = 0;   // behind the last event, until their transaction's last comes
  std::vector<LoggedEvent> taken_;  // by the Append under way,
  size_t taken_bytes_ = 0;          // and their payloads' bytes
  bool took_parts_ = false;         // it did, or ended a transaction that has some
  LogTail tail_;
  std::unique_ptr<LogCompaction> compaction_;  // the pass under way; of CompactOldest's caller
};

Status SqliteEventLog::Load() {
  INDOUBT_RETURN_IF_ERROR(db_->Execute(kSchema));
  INDOUBT_RETURN_IF_ERROR(
      db_->Execute(fmt::format("INSERT INTO log SELECT {}, '{}', 0, '', 0 "
                               "WHERE NOT EXISTS (SELECT 1 FROM log)",
                               kWholeEventLogVersion, LogId::Random().text())));
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
  INDOUBT_RETURN_IF_ERROR(ReadShapes());
  INDOUBT_RETURN_IF_ERROR(db_->Execute(cdc_internal::kStagedSchema));
  INDOUBT_RETURN_IF_ERROR(db_->Execute(
      fmt::format("UPDATE log SET version = {0} WHERE version < {0}", kWholeEventLogVersion)));
  INDOUBT_RETURN_IF_ERROR(db_->Execute(cdc_internal::kBeginningSchema));
  INDOUBT_ASSIGN_OR_RETURN(tail_.begin, cdc_internal::ReadLogBegin(*db_));
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
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery last,
      db_->Prepare("SELECT sequence, lsn, ordinal FROM events WHERE ordinal < ?1 "
                   "ORDER BY sequence DESC LIMIT 1"));
  last.Bind(1, kFirstPartOrdinal);
  INDOUBT_ASSIGN_OR_RETURN(const bool found, last.Next());
  if (found) {
    end.last_sequence = last.U64(0);
    end.last = {Lsn{last.U64(1)}, last.U64(2)};
  }
  INDOUBT_ASSIGN_OR_RETURN(end.staged, staged_.Count());
  return end;
}

Status SqliteEventLog::ReadFormerIds() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery former, db_->Prepare("SELECT id FROM former_ids"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, former.Next());
    if (!more) return Status::Ok();
    former_ids_.insert(former.Bytes(0));
  }
}

Status SqliteEventLog::Restart() {
  INDOUBT_CHECK(state_ == EventLogState::kStreaming, "only what streams can lose its slot");
  const std::string next = LogId::Random().text();
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  INDOUBT_RETURN_IF_ERROR(
      db_->Execute(fmt::format("INSERT INTO former_ids SELECT id FROM log;"
                               "UPDATE log SET id = '{}', state = 1, complete = 0;"
                               "DELETE FROM events; DELETE FROM staged; DELETE FROM outcomes;"
                               "DELETE FROM schemas; DELETE FROM snapshot; {}",
                               next, cdc_internal::kBeginningReset)));
  shapes_.clear();
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
                   "DELETE FROM schemas; DELETE FROM snapshot"));
  shapes_.clear();
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
  new_shapes_.clear();
  const EventPosition position{Lsn{progress.lsn()}, progress.next_ordinal() - 1};
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
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

Status SqliteEventLog::DropParts() {
  const std::lock_guard writing(writing_);
  return RemoveParts();
}

Status SqliteEventLog::RemoveParts() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_->Cached("DELETE FROM events WHERE sequence > ?1"));
  query->Bind(1, tail_.Get().last_sequence);
  parts_ = 0;
  return query->Run();
}

Status SqliteEventLog::TakePart(const events::Transaction& part, const LogEnd& next) {
  took_parts_ = true;
  // Where its commit record begins: at the end of another's, at the earliest.
  const Lsn begin{part.commit_end_lsn()};
  if (begin < next.complete) return Status::Ok();
  return Insert(next.last_sequence + ++parts_, {begin, kFirstPartOrdinal + part.part()}, part);
}

Status SqliteEventLog::Append(std::vector<events::Transaction> batch) {
  INDOUBT_CHECK(state_ == EventLogState::kStreaming, "a transaction before the snapshot's end");
  const std::lock_guard writing(writing_);
  new_shapes_.clear();
  taken_.clear();
  taken_.reserve(batch.size());
  taken_bytes_ = 0;
  took_parts_ = parts_ > 0;
  LogEnd next = tail_.Get();
  const EventPosition before = next.last;
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  for (events::Transaction& event : batch) {
    INDOUBT_RETURN_IF_ERROR(Take(event, next));
  }
  INDOUBT_ASSIGN_OR_RETURN(next.staged, staged_.Count());
  INDOUBT_RETURN_IF_ERROR(SetComplete(next.complete));
  INDOUBT_RETURN_IF_ERROR(CommitEvents(transaction));
  KeepRecent(before);
  Publish(next);
  return Status::Ok();
}

// Parts are whole only in the file. What follows on them follows on what is not in memory.
void SqliteEventLog::KeepRecent(EventPosition before) {
  if (took_parts_) {
    tail_.recent.Clear();
  } else if (!taken_.empty()) {
    tail_.recent.Add(before, std::exchange(taken_, {}), taken_bytes_);
  }
}

std::vector<events::Transaction> SqliteEventLog::Reclaim() { return tail_.recent.Reclaim(); }

Status SqliteEventLog::Take(events::Transaction& event, LogEnd& next) {
  if (event.part() > 0) return TakePart(event, next);
  const Lsn lsn{event.commit_end_lsn()};
  const bool known = lsn <= next.complete;
  next.complete = std::max(next.complete, lsn);
  const auto insert = [&](events::Transaction& committed) {
    next.last = {lsn, 0};
    next.last_sequence += parts_ + 1;
    parts_ = 0;
    const Status inserted = Insert(next.last_sequence, next.last, committed);
    taken_bytes_ += payload_.size();
    taken_.push_back({next.last, next.last_sequence, std::move(committed)});
    return inserted;
  };
  switch (event.phase()) {
    case events::Transaction::PREPARED:
      // Known or not: one prepared while the slot was being made is sent with its end
      // only, and then has an LSN before the log's beginning.
      return staged_.Stage(event);
    case events::Transaction::COMMIT_PREPARED: {
      if (known) return staged_.DropEnded(event);
      INDOUBT_ASSIGN_OR_RETURN(events::Transaction committed, staged_.Commit(event));
      return committed.changes_size() == 0 ? Status::Ok() : insert(committed);
    }
    case events::Transaction::ROLLBACK_PREPARED:
      return known ? staged_.DropEnded(event) : staged_.RollBack(event);
    default:  // COMMITTED, and what protobuf adds for its own use
      return known ? Status::Ok() : insert(event);
  }
}

Status SqliteEventLog::Advance(Lsn lsn) {
  const std::lock_guard writing(writing_);
  LogEnd next = tail_.Get();
  if (lsn <= next.complete) return Status::Ok();
  next.complete = lsn;
  INDOUBT_RETURN_IF_ERROR(SetComplete(lsn));
  Publish(next);
  return Status::Ok();
}

Result<bool> SqliteEventLog::RemoveOldest(const Removal& removal) {
  const std::lock_guard writing(writing_);
  INDOUBT_ASSIGN_OR_RETURN(const auto step,
                           cdc_internal::NextRemoval(*db_, removal, tail_.Get().last_sequence));
  if (!step) return false;
  LogBegin to = step->to;
  to.compacted = tail_.Begin().compacted;
  tail_.SetBegin(to);  // first: a reader who finds less learns why
  INDOUBT_RETURN_IF_ERROR(cdc_internal::Remove(*db_, to));
  return step->more;
}

Result<bool> SqliteEventLog::CompactOldest(EventPosition up_to) {
  if (compaction_ && compaction_->to() > up_to) compaction_.reset();  // a view went back
  if (!compaction_) INDOUBT_RETURN_IF_ERROR(BeginCompaction(up_to));
  if (!compaction_) return false;
  auto more = CompactSome();
  if (!more || !*more) compaction_.reset();
  return more;
}

Status SqliteEventLog::BeginCompaction(EventPosition up_to) {
  uint64_t sequence = 0;
  std::optional<EventPosition> to;
  {
    const std::lock_guard writing(writing_);
    INDOUBT_ASSIGN_OR_RETURN(
        to, cdc_internal::WorthCompacting(*db_, up_to, tail_.Get().last_sequence, sequence));
  }
  if (!to) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(compaction_, LogCompaction::Begin(db_->path(), *to, sequence));
  return Status::Ok();
}

// Reads without the lock: nobody else changes what is before the pass's end.
Result<bool> SqliteEventLog::CompactSome() {
  INDOUBT_ASSIGN_OR_RETURN(const bool surveying, compaction_->Survey());
  if (surveying) return true;
  INDOUBT_ASSIGN_OR_RETURN(const auto events, compaction_->Next());
  if (!events) return false;
  const std::lock_guard writing(writing_);
  LogBegin begin = tail_.Begin();
  begin.compacted = compaction_->to();
  tail_.SetBegin(begin);  // first, as above
  INDOUBT_RETURN_IF_ERROR(cdc_internal::WriteCompacted(*db_, *events, *compaction_));
  return true;
}

Result<bool> SqliteEventLog::GiveSpaceBack() {
  const std::lock_guard writing(writing_);
  return cdc_internal::ShrinkFile(*db_);
}

Status SqliteEventLog::Insert(uint64_t sequence, EventPosition position,
                              const events::Transaction& event) {
  payload_.clear();
  event.AppendToString(&payload_);
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_->Cached("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)"));
  query->Bind(1, sequence);
  query->Bind(2, position.lsn.value);
  query->Bind(3, position.ordinal);
  query->Bind(4, uint64_t{Crc32c(payload_)});
  query->BindStatic(5, payload_);
  INDOUBT_RETURN_IF_ERROR(query->Run());
  return RememberShapes(position, event);
}

Status SqliteEventLog::RememberShapes(EventPosition position,
                                      const events::Transaction& event) {
  for (const events::Relation& relation : event.relations()) {
    const auto fresh = new_shapes_.find(relation.oid());
    const auto known = shapes_.find(relation.oid());
    if (fresh != new_shapes_.end()
            ? SameShape(fresh->second, relation)
            : known != shapes_.end() && SameShape(known->second, relation)) {
      continue;
    }
    INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                             db_->Cached("INSERT INTO schemas VALUES (?1, ?2, ?3, ?4)"));
    query->Bind(1, uint64_t{relation.oid()});
    query->Bind(2, position.lsn.value);
    query->Bind(3, position.ordinal);
    query->BindBlob(4, relation.SerializeAsString());
    INDOUBT_RETURN_IF_ERROR(query->Run());
    new_shapes_[relation.oid()] = relation;
  }
  return Status::Ok();
}

Status SqliteEventLog::CommitEvents(SqliteTransaction& transaction) {
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  for (auto& [oid, shape] : new_shapes_) shapes_[oid] = std::move(shape);
  return Status::Ok();
}

Status SqliteEventLog::ReadShapes() {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query, db_->Prepare("SELECT oid, shape FROM schemas ORDER BY lsn, ordinal"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query.Next());
    if (!more) return Status::Ok();
    events::Relation& shape = shapes_[static_cast<uint32_t>(query.U64(0))];
    if (shape.ParseFromString(query.Bytes(1))) continue;
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: a shape of table {} is not what was written; "
                              "restore the file, or remove it, drop the slot and begin anew",
                              db_->path(), query.U64(0)));
  }
}

Status SqliteEventLog::SetComplete(Lsn lsn) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query, db_->Cached("UPDATE log SET complete = ?1"));
  query->Bind(1, lsn.value);
  return query->Run();
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
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(db_->path(), SqliteDatabase::Mode::kReadOnly));
  return cdc_internal::MakeSqliteEventLogReader(std::move(db), tail_);
}

}  // namespace

Result<std::unique_ptr<EventLog>> OpenSqliteEventLog(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(auto lock, PosixFileSystem().Lock(path + ".lock"));
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kShrinkingWriter));
  auto log = std::make_unique<SqliteEventLog>(std::move(lock), std::move(db));
  INDOUBT_RETURN_IF_ERROR(log->Load());
  return std::unique_ptr<EventLog>(std::move(log));
}

}  // namespace indoubt
