#include <algorithm>

#include "base/crc32c.h"
#include "cdc/log/sqlite_event_log_writer.h"
#include "cdc/row_turns.h"

namespace indoubt::cdc_internal {

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

Status SqliteEventLog::Append(std::vector<HeldTransaction> batch) {
  INDOUBT_CHECK(state_ == EventLogState::kStreaming, "a transaction before the snapshot's end");
  const std::lock_guard writing(writing_);
  INDOUBT_RETURN_IF_ERROR(CheckPlace());
  INDOUBT_RETURN_IF_ERROR(history_.Begin());
  taken_.clear();
  taken_.reserve(batch.size());
  taken_bytes_ = 0;
  took_parts_ = parts_ > 0;
  LogEnd next = tail_.Get();
  const EventPosition before = next.last;
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(*db_));
  RowTurns turns;
  for (HeldTransaction& event : batch) {
    turns.Count(*event);
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

std::vector<HeldTransaction> SqliteEventLog::Reclaim() { return tail_.recent.Reclaim(); }

Status SqliteEventLog::Take(HeldTransaction& held, LogEnd& next) {
  const events::Transaction& event = *held;
  if (event.part() > 0) return TakePart(event, next);
  const Lsn lsn{event.commit_end_lsn()};
  const bool known = lsn <= next.complete;
  next.complete = std::max(next.complete, lsn);
  const auto insert = [&](HeldTransaction committed) {
    if (committed->relations_size() > 0) NameShapes(*committed, tail_.shapes);
    next.last = {lsn, 0};
    next.last_sequence += parts_ + 1;
    parts_ = 0;
    const Status inserted = Insert(next.last_sequence, next.last, *committed);
    taken_bytes_ += payload_.size();
    taken_.push_back({next.last, next.last_sequence, std::move(committed), &tail_.shapes});
    return inserted;
  };
  switch (event.phase()) {
    case events::Transaction::PREPARED:
      // Known or not: one prepared while the slot was being made is sent with its end
      // only, and then has an LSN before the log's beginning.
      if (!HoldShapes(*held, &tail_.shapes)) {
        return Status(StatusCode::kInternal, "a prepared transaction names unknown shapes");
      }
      return staged_.Stage(event);
    case events::Transaction::COMMIT_PREPARED: {
      if (known) return staged_.DropEnded(event);
      INDOUBT_ASSIGN_OR_RETURN(events::Transaction committed, staged_.Commit(event));
      return committed.changes_size() == 0 ? Status::Ok() : insert(std::move(committed));
    }
    case events::Transaction::ROLLBACK_PREPARED:
      return known ? staged_.DropEnded(event) : staged_.RollBack(event);
    default:  // COMMITTED, and what protobuf adds for its own use
      return known ? Status::Ok() : insert(std::move(held));
  }
}

Status SqliteEventLog::Advance(Lsn lsn) {
  const std::lock_guard writing(writing_);
  LogEnd next = tail_.Get();
  if (lsn <= next.complete) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(CheckPlace());
  next.complete = lsn;
  INDOUBT_RETURN_IF_ERROR(SetComplete(lsn));
  Publish(next);
  return Status::Ok();
}

Result<bool> SqliteEventLog::HasOutcome(Lsn lsn) {
  const std::lock_guard writing(writing_);
  return cdc_internal::HasOutcome(*db_, lsn);
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
  return history_.Add(position, event);
}

Status SqliteEventLog::CommitEvents(SqliteTransaction& transaction) {
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  history_.Committed();
  return Status::Ok();
}

Status SqliteEventLog::SetComplete(Lsn lsn) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query, db_->Cached("UPDATE log SET complete = ?1"));
  query->Bind(1, lsn.value);
  return query->Run();
}

}  // namespace indoubt::cdc_internal
