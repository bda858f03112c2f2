#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "cdc/log/schema_history.h"
#include "cdc/log/sqlite_event_log_file.h"

namespace indoubt::cdc_internal {
namespace {

// Of an event whose memory is kept for a later one.
constexpr int kMaxSpareChanges = 64;

class SqliteEventLogReader : public EventLogReader {
 public:
  SqliteEventLogReader(std::unique_ptr<SqliteDatabase> db, const LogTail& tail)
      : db_(std::move(db)), tail_(tail) {}

  Result<std::vector<LoggedEvent>> Read(EventPosition position, size_t max_events,
                                        size_t max_bytes) override {
    auto events = ReadAfter(position, max_events, max_bytes);
    // Afterwards: what is gone now may have been gone then.
    const EventPosition from = tail_.Begin().whole_from();
    if (position >= from) return events;
    return Status(StatusCode::kNotFound,
                  fmt::format("event log {}: what followed on {} was removed; it is complete "
                              "from {} on",
                              db_->path(), position.lsn.ToString(), from.lsn.ToString()));
  }

  Result<std::optional<events::Relation>> ShapeBefore(uint32_t oid,
                                                      EventPosition position) override {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached("SELECT shape FROM schemas WHERE oid = ?1 AND (lsn, ordinal) < (?2, ?3) "
                    "ORDER BY lsn DESC, ordinal DESC LIMIT 1"));
    query->Bind(1, uint64_t{oid});
    query->Bind(2, position.lsn.value);
    query->Bind(3, position.ordinal);
    INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
    if (!found) return std::optional<events::Relation>();
    events::Relation shape;
    const bool parsed = shape.ParseFromString(query->Bytes(0));
    query->Reset();
    if (parsed) return std::optional(std::move(shape));
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: a shape of table {} is not what was written; "
                              "restore the file, or remove it, drop the slot and begin anew",
                              db_->path(), oid));
  }

  void Recycle(std::vector<LoggedEvent> events) override {
    // What was large once would be kept for ever.
    std::erase_if(events, [](const LoggedEvent& event) {
      return event.transaction->changes_size() > kMaxSpareChanges;
    });
    spare_ = std::move(events);
  }

  Result<uint64_t> SequenceAt(EventPosition position) override {
    return SequenceAtOrBefore(*db_, position);
  }

  std::shared_ptr<const std::vector<LoggedEvent>> Recent(EventPosition position) override {
    return tail_.recent.After(position);
  }

 private:
  Result<std::vector<LoggedEvent>> ReadAfter(EventPosition position, size_t max_events,
                                             size_t max_bytes) {
    // By sequence: the payloads are stored in its order.
    if (position != read_to_ || read_sequence_ == 0) {
      INDOUBT_ASSIGN_OR_RETURN(read_sequence_, SequenceAt(position));
      read_to_ = position;
    }
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db_->Cached("SELECT sequence, lsn, ordinal, crc, payload FROM events "
                    "WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3"));
    query->Bind(1, read_sequence_);
    query->Bind(2, ReadableUpTo());
    query->Bind(3, uint64_t{max_events});
    std::vector<LoggedEvent> events;
    events.reserve(spare_.size());
    size_t bytes = 0;
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(const bool more, query->Next());
      if (!more) return events;
      LoggedEvent event = NewEvent();
      event.sequence = query->U64(0);
      event.position = {Lsn{query->U64(1)}, query->U64(2)};
      const std::string_view payload = query->View(4);
      if (Crc32c(payload) != query->U64(3) ||
          !event.transaction->ParseFromArray(payload.data(),
                                             static_cast<int>(payload.size()))) {
        query->Reset();
        return Status(StatusCode::kCorrupt,
                      fmt::format("event log {}: event {} is not what was written; restore "
                                  "the file, or remove it, drop the slot and begin anew",
                                  db_->path(), event.sequence));
      }
      event.shapes = &tail_.shapes;
      for (const uint64_t number : event.transaction->shapes()) {
        if (number == known_shape_) continue;
        if (tail_.shapes.Find(number) == nullptr) {  // of a log that others write
          const Status read = ReadShape(*db_, number, tail_.shapes);
          if (!read.ok()) query->Reset();
          INDOUBT_RETURN_IF_ERROR(read);
        }
        known_shape_ = number;
      }
      bytes += payload.size();
      read_to_ = event.position;
      read_sequence_ = event.sequence;
      events.push_back(std::move(event));
      if (bytes >= max_bytes) {
        query->Reset();
        return events;
      }
    }
  }

  // One of those that were given back, or a new one.
  LoggedEvent NewEvent() {
    if (spare_.empty()) return {};
    LoggedEvent event = std::move(spare_.back());
    spare_.pop_back();
    return event;
  }

  // Not what is behind the end, which hides an unfinished snapshot and parts; and up to where
  // a batch begins in memory, with which a reader that catches up then goes on.
  uint64_t ReadableUpTo() const {
    const uint64_t last = tail_.Get().last_sequence;
    const auto next = tail_.recent.NextBegin(read_to_);
    return next ? std::min(last, *next - 1) : last;
  }

  std::unique_ptr<SqliteDatabase> db_;
  const LogTail& tail_;
  std::vector<LoggedEvent> spare_;
  uint64_t known_shape_ = 0;    // one that the tail's table has
  EventPosition read_to_;       // of the last event that was read,
  uint64_t read_sequence_ = 0;  // and its sequence; 0: none was
};

}  // namespace

Status ReadLastEvent(SqliteDatabase& db, LogEnd& end) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery last,
      db.Prepare("SELECT sequence, lsn, ordinal FROM events WHERE ordinal < ?1 "
                 "ORDER BY sequence DESC LIMIT 1"));
  last.Bind(1, kFirstPartOrdinal);
  INDOUBT_ASSIGN_OR_RETURN(const bool any, last.Next());
  if (!any) return Status::Ok();
  end.last_sequence = last.U64(0);
  end.last = {Lsn{last.U64(1)}, last.U64(2)};
  return Status::Ok();
}

Result<uint64_t> SequenceAtOrBefore(SqliteDatabase& db, EventPosition position) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * ends,
                           db.Cached("SELECT (SELECT min(sequence) FROM events), "
                                     "(SELECT max(sequence) FROM events)"));
  INDOUBT_RETURN_IF_ERROR(ends->Next().status());
  const uint64_t first = ends->U64(0);
  // All up to `found` are at or before the position, all beyond `high` behind it.
  uint64_t found = first > 0 ? first - 1 : 0;
  uint64_t low = found;
  uint64_t high = ends->U64(1);
  ends->Reset();
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * query,
      db.Cached("SELECT sequence, lsn, ordinal FROM events WHERE sequence <= ?1 "
                "ORDER BY sequence DESC LIMIT 1"));
  while (low < high) {
    const uint64_t middle = low + (high - low + 1) / 2;
    query->Bind(1, middle);
    INDOUBT_ASSIGN_OR_RETURN(const bool any, query->Next());
    const uint64_t sequence = any ? query->U64(0) : 0;
    const bool before = !any || EventPosition{Lsn{query->U64(1)}, query->U64(2)} <= position;
    if (any) query->Reset();
    if (before) {
      found = std::max(found, sequence);
      low = middle;
    } else {
      high = sequence - 1;
    }
  }
  return found;
}

std::unique_ptr<EventLogReader> MakeSqliteEventLogReader(std::unique_ptr<SqliteDatabase> db,
                                                         const LogTail& tail) {
  return std::make_unique<SqliteEventLogReader>(std::move(db), tail);
}

}  // namespace indoubt::cdc_internal
