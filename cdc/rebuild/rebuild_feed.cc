#include "cdc/rebuild/rebuild_feed.h"

#include <algorithm>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/failpoint.h"
#include "cdc/log/log_glance.h"
#include "cdc/source/source_table.h"

namespace indoubt::cdc_internal {
namespace {

constexpr size_t kMaxEvents = 4096;
constexpr size_t kMaxBytes = size_t{2} << 20;
constexpr int kChunkRows = 1000;
// The log belongs to another process, which tells nobody.
constexpr std::chrono::milliseconds kBetweenLooks{5};

bool IsPart(const LoggedEvent& event) { return event.transaction->part() > 0; }

EventPosition EndOf(const LogEnd& end) {
  return std::max(end.last, EventPosition{end.complete, 0});
}

}  // namespace

Status ApplyThroughHolds(View& view, const std::vector<LoggedEvent>& events,
                         const ViewPosition& to) {
  for (;;) {
    const Status applied = view.Apply(events, to);
    if (applied.code() != StatusCode::kLocked || !view.hold_changed()) return applied;
  }
}

Result<std::unique_ptr<LogFeed>> LogFeed::Open(const std::string& path) {
  std::unique_ptr<LogFeed> feed(new LogFeed(path));
  INDOUBT_RETURN_IF_ERROR(feed->LookAgain());
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kReadOnly));
  feed->reader_ = MakeSqliteEventLogReader(std::move(db), feed->tail_);
  return feed;
}

Result<bool> LogFeed::CanBeReplayed(bool upserts) {
  INDOUBT_ASSIGN_OR_RETURN(const LogGlance glance, LogGlance::Open(path_));
  const LogBegin& begin = glance.begin();
  return begin.removed == EventPosition{} && (upserts || begin.compacted == EventPosition{});
}

Result<bool> LogFeed::ShapesChanged() {
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path_, SqliteDatabase::Mode::kReadOnly));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query, db->Prepare("SELECT shape FROM schemas"));
  INDOUBT_ASSIGN_OR_RETURN(const auto shapes, query.Strings());
  std::set<std::pair<std::string, std::string>> tables;  // one made anew has another oid
  for (const std::string& shape : shapes) {
    events::Relation relation;
    if (!relation.ParseFromString(shape)) {
      return Status(StatusCode::kCorrupt, "the event log holds a shape that is none");
    }
    if (!tables.emplace(relation.schema(), relation.name()).second) return true;
  }
  return false;
}

Status LogFeed::LookAgain() {
  INDOUBT_ASSIGN_OR_RETURN(const LogGlance glance, LogGlance::Open(path_));
  if (!id_.empty() && glance.id() != id_) {
    return Status(StatusCode::kAborted,
                  "the event log was begun anew meanwhile (its slot was lost), and with it "
                  "every view");
  }
  if (glance.state() != EventLogState::kStreaming) {
    return Status(StatusCode::kUnavailable,
                  fmt::format("event log {}: its first snapshot is not complete yet; let "
                              "`indoubt cdc run` finish it",
                              path_));
  }
  id_ = glance.id();
  const std::lock_guard lock(tail_.mutex);
  tail_.end = glance.end();
  return Status::Ok();
}

Status LogFeed::AwaitEnd(EventPosition target, TimePoint deadline) {
  for (;;) {
    INDOUBT_RETURN_IF_ERROR(LookAgain());
    const EventPosition end = EndOf(tail_.Get());
    if (end >= target) return Status::Ok();
    if (SystemClock().Now() >= deadline) {
      return Status(StatusCode::kDeadlineExceeded,
                    fmt::format("the event log is at {}, not yet at {}; does its worker come "
                                "along (indoubt cdc status)?",
                                end.lsn.ToString(), target.lsn.ToString()));
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

Status LogFeed::FollowTo(View& view, EventPosition& at, EventPosition target,
                         Duration patience) {
  INDOUBT_RETURN_IF_ERROR(AwaitEnd(target, SystemClock().Now() + patience));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, Step(view, at, target));
    if (!more) break;
  }
  if (at >= target) return Status::Ok();
  INDOUBT_RETURN_IF_ERROR(view.Apply({}, {id_, target}));
  at = target;
  return Status::Ok();
}

Status LogFeed::FollowToEnd(View& view, EventPosition& at) {
  INDOUBT_RETURN_IF_ERROR(LookAgain());
  return FollowTo(view, at, EndOf(tail_.Get()), Duration::zero());
}

Result<bool> LogFeed::Step(View& view, EventPosition& at, EventPosition target) {
  INDOUBT_ASSIGN_OR_RETURN(auto events, reader_->Read(at, kMaxEvents, kMaxBytes));
  std::erase_if(events, [&](const LoggedEvent& event) { return event.position > target; });
  if (events.empty()) return false;
  INDOUBT_RETURN_IF_ERROR(Admit(events));
  size_t whole = events.size();
  while (whole > 0 && IsPart(events[whole - 1])) --whole;
  if (whole == 0) {
    INDOUBT_RETURN_IF_ERROR(ApplyParts(view, at, std::move(events)));
    return true;
  }
  events.resize(whole);
  const EventPosition to = events.back().position;
  INDOUBT_RETURN_IF_ERROR(
      view.Apply(events, {id_, to})
          .WithContext(fmt::format("deriving up to {}", to.lsn.ToString())));
  at = to;
  return true;
}

Status LogFeed::Admit(const std::vector<LoggedEvent>& events) {
  if (!guard_) return Status::Ok();
  for (const LoggedEvent& event : events) {
    INDOUBT_RETURN_IF_ERROR(guard_->Check(event, *reader_));
  }
  return Status::Ok();
}

Status LogFeed::ApplyParts(View& view, EventPosition& at, std::vector<LoggedEvent> events) {
  INDOUBT_RETURN_IF_ERROR(view.Begin());
  for (;;) {
    if (events.empty()) {
      return Status(StatusCode::kCorrupt, "the event log ends within a transaction");
    }
    const auto last = std::find_if_not(events.begin(), events.end(), IsPart);
    const bool complete = last != events.end();
    if (complete) events.erase(last + 1, events.end());
    const EventPosition to = events.back().position;
    INDOUBT_RETURN_IF_ERROR(view.Add(events));
    if (complete) {
      INDOUBT_RETURN_IF_ERROR(view.Commit({id_, to}));
      at = to;
      return Status::Ok();
    }
    INDOUBT_ASSIGN_OR_RETURN(events, reader_->Read(to, kMaxEvents, kMaxBytes));
    INDOUBT_RETURN_IF_ERROR(Admit(events));
  }
}

Result<std::unique_ptr<SourceAtLsn>> SourceAtLsn::Open(const SlotOptions& slot,
                                                       const std::vector<std::string>& tables,
                                                       const StopSignal& stop,
                                                       Duration patience) {
  const TimePoint deadline = SystemClock().Now() + patience;
  std::unique_ptr<SourceAtLsn> source(new SourceAtLsn());
  source->patience_ = patience;
  INDOUBT_ASSIGN_OR_RETURN(source->walsender_,
                           PgConnection::Connect(slot.dsn, true, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const ExportedSnapshot snapshot,
                           ExportSnapshot(*source->walsender_, slot, stop, deadline));
  source->lsn_ = snapshot.lsn;
  INDOUBT_ASSIGN_OR_RETURN(source->reader_,
                           PgConnection::Connect(slot.dsn, false, stop, deadline));
  PgConnection& reader = *source->reader_;
  INDOUBT_RETURN_IF_ERROR(
      reader.Query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline).status());
  INDOUBT_RETURN_IF_ERROR(
      reader.Query("SET TRANSACTION SNAPSHOT " + reader.Literal(snapshot.name), deadline)
          .status());
  INDOUBT_ASSIGN_OR_RETURN(source->tables_,
                           LockSourceTables(reader, tables, slot.lock_timeout, deadline));
  return source;
}

Result<uint64_t> SourceAtLsn::DeriveInto(View& view, const std::string& log_id) {
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t rows, DeriveRows(view, log_id));
  INDOUBT_RETURN_IF_ERROR(view.Apply({}, {log_id, {lsn_, 0}}));
  return rows;
}

Result<uint64_t> SourceAtLsn::DeriveRows(View& view, const std::string& log_id) {
  uint64_t rows = 0, chunks = 0;
  for (const auto& table : tables_) {
    INDOUBT_ASSIGN_OR_RETURN(const uint64_t more, DeriveTable(view, log_id, table, chunks));
    rows += more;
  }
  return rows;
}

Result<uint64_t> SourceAtLsn::DeriveTable(View& view, const std::string& log_id,
                                          const events::SnapshotProgress::Table& table,
                                          uint64_t& chunks) {
  const auto deadline = [this] { return SystemClock().Now() + patience_; };
  std::vector<std::string> columns;
  for (const events::Column& column : table.shape().columns()) {
    columns.push_back(reader_->Identifier(column.name()));
  }
  INDOUBT_RETURN_IF_ERROR(
      reader_
          ->Query(
              fmt::format("DECLARE indoubt_copy NO SCROLL CURSOR FOR SELECT {} FROM ONLY {}",
                          fmt::join(columns, ", "), table.qualified()),
              deadline())
          .status());
  uint64_t count = 0;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(
        const PgRows rows,
        reader_->Query(fmt::format("FETCH {} FROM indoubt_copy", kChunkRows), deadline()));
    if (rows.empty()) break;
    count += rows.size();
    // Nowhere, until the last chunk is there.
    const EventPosition to{Lsn{}, ++chunks};
    std::vector<LoggedEvent> chunk(1);
    chunk.front() = {.position = to, .transaction = SnapshotChunk(table.shape(), rows)};
    INDOUBT_RETURN_IF_ERROR(ApplyThroughHolds(view, chunk, {log_id, to})
                                .WithContext("deriving from table " + table.qualified()));
    INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_view_copying", view.name()));
  }
  INDOUBT_RETURN_IF_ERROR(reader_->Query("CLOSE indoubt_copy", deadline()).status());
  return count;
}

}  // namespace indoubt::cdc_internal
