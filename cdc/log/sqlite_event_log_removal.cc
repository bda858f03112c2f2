#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log_writer.h"

namespace indoubt::cdc_internal {

Result<bool> SqliteEventLog::RemoveOldest(const Removal& removal) {
  const std::lock_guard writing(writing_);
  INDOUBT_ASSIGN_OR_RETURN(const auto step,
                           NextRemoval(*db_, removal, tail_.Get().last_sequence));
  if (!step) return false;
  LogBegin to = step->to;
  to.compacted = tail_.Begin().compacted;
  tail_.SetBegin(to);  // first: a reader who finds less learns why
  INDOUBT_RETURN_IF_ERROR(Remove(*db_, to));
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
    INDOUBT_ASSIGN_OR_RETURN(to,
                             WorthCompacting(*db_, up_to, tail_.Get().last_sequence, sequence));
  }
  if (!to) return Status::Ok();
  INDOUBT_ASSIGN_OR_RETURN(compaction_,
                           LogCompaction::Begin(db_->path(), tail_.shapes, *to, sequence));
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
  INDOUBT_RETURN_IF_ERROR(WriteCompacted(*db_, *events, *compaction_));
  return true;
}

Result<bool> SqliteEventLog::GiveSpaceBack() {
  const std::lock_guard writing(writing_);
  return ShrinkFile(*db_);
}

}  // namespace indoubt::cdc_internal
