#include "cdc/log/log_compaction.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log_file.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {
namespace {

// What one step reads and, at most, rewrites: some milliseconds.
constexpr uint64_t kMaxEvents = 256;
constexpr size_t kMaxBytes = size_t{1} << 19;
// A pass over less is not worth a look.
constexpr uint64_t kFewEvents = 256;
// A change's place: its event's sequence, and its number in that. A prepared transaction has
// 256 MiB of rows at the most, and each row some bytes.
constexpr int kPlaceBits = 24;

uint64_t PlaceOf(uint64_t sequence, uint64_t index) { return sequence << kPlaceBits | index; }

/// Keeps the changes that are marked, and the shapes that these have.
void KeepOnly(const std::vector<bool>& needed, const ShapeTable& all,
              events::Transaction& transaction) {
  std::set<uint32_t> named;
  int kept = 0;
  for (int i = 0; i < transaction.changes_size(); ++i) {
    if (!needed[static_cast<size_t>(i)]) continue;
    named.insert(transaction.changes(i).relation_oid());
    transaction.mutable_changes()->SwapElements(kept++, i);
  }
  transaction.mutable_changes()->DeleteSubrange(kept, transaction.changes_size() - kept);
  auto* shapes = transaction.mutable_relations();
  for (int i = shapes->size() - 1; i >= 0; --i) {
    if (!named.contains(shapes->Get(i).oid())) shapes->DeleteSubrange(i, 1);
  }
  auto* numbers = transaction.mutable_shapes();
  numbers->erase(
      std::remove_if(numbers->begin(), numbers->end(),
                     [&](uint64_t number) { return !named.contains(all.Find(number)->oid()); }),
      numbers->end());
}

}  // namespace

Result<std::unique_ptr<LogCompaction>> LogCompaction::Begin(const std::string& path,
                                                            const ShapeTable& shapes,
                                                            EventPosition to,
                                                            uint64_t sequence) {
  std::unique_ptr<LogCompaction> pass(new LogCompaction(shapes, to, sequence));
  INDOUBT_ASSIGN_OR_RETURN(pass->db_,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kReadOnly));
  INDOUBT_ASSIGN_OR_RETURN(pass->superseded_, SupersededChanges::Make());
  return pass;
}

Result<std::vector<LoggedEvent>> LogCompaction::Read(uint64_t& after) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * query,
      db_->Cached("SELECT sequence, lsn, ordinal, crc, payload FROM events "
                  "WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?3"));
  query->Bind(1, after);
  query->Bind(2, to_sequence_);
  query->Bind(3, kMaxEvents);
  std::vector<LoggedEvent> events;
  for (size_t bytes = 0; bytes < kMaxBytes;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, query->Next());
    if (!more) return events;
    LoggedEvent event;
    event.shapes = &shapes_;
    event.sequence = after = query->U64(0);
    event.position = {Lsn{query->U64(1)}, query->U64(2)};
    const std::string_view payload = query->View(4);
    bytes += payload.size();
    const bool whole =
        Crc32c(payload) == query->U64(3) &&
        event.transaction->ParseFromArray(payload.data(), static_cast<int>(payload.size()));
    if (!whole || event.transaction->changes_size() >= 1 << kPlaceBits) {
      query->Reset();
      return Status(StatusCode::kCorrupt,
                    fmt::format("event log {}: event {} is not what was written, and nothing "
                                "is compacted; restore the file, or remove it, drop the slot "
                                "and begin anew",
                                db_->path(), event.sequence));
    }
    events.push_back(std::move(event));
  }
  query->Reset();
  return events;
}

Result<bool> LogCompaction::Survey() {
  INDOUBT_ASSIGN_OR_RETURN(const auto events, Read(surveyed_));
  for (const LoggedEvent& event : events) {
    uint64_t index = 0;
    INDOUBT_RETURN_IF_ERROR(ForEachRowChange(event, [&](const RowChange& change) {
      return superseded_->Note(PlaceOf(event.sequence, index++), change);
    }));
  }
  return !events.empty();
}

Result<std::optional<std::vector<CompactedEvent>>> LogCompaction::Next() {
  INDOUBT_ASSIGN_OR_RETURN(auto events, Read(compacted_));
  if (events.empty()) return std::optional<std::vector<CompactedEvent>>();
  std::vector<CompactedEvent> changed;
  for (LoggedEvent& event : events) {
    INDOUBT_ASSIGN_OR_RETURN(auto compacted, Compact(std::move(event)));
    if (compacted) changed.push_back(std::move(*compacted));
  }
  return std::optional(std::move(changed));
}

Result<std::optional<CompactedEvent>> LogCompaction::Compact(LoggedEvent event) {
  std::vector<bool> needed;
  INDOUBT_RETURN_IF_ERROR(ForEachRowChange(event, [&](const RowChange& change) -> Status {
    INDOUBT_ASSIGN_OR_RETURN(
        const bool needs, superseded_->Needs(PlaceOf(event.sequence, needed.size()), change));
    needed.push_back(needs);
    return Status::Ok();
  }));
  const auto left = static_cast<size_t>(std::count(needed.begin(), needed.end(), true));
  const bool part = event.transaction->part() > 0;
  // The last of a large transaction makes its parts visible, whatever it holds itself.
  const bool stays = left > 0 || (!part && part_before_);
  part_before_ = part && (part_before_ || stays);
  if (stays) ++kept_;
  if (stays && left == needed.size()) return std::optional<CompactedEvent>();
  CompactedEvent compacted{event.sequence, std::nullopt};
  if (stays) {
    KeepOnly(needed, shapes_, *event.transaction);
    compacted.payload = event.transaction->SerializeAsString();
  }
  return std::optional(std::move(compacted));
}

Result<std::optional<EventPosition>> WorthCompacting(SqliteDatabase& db, EventPosition up_to,
                                                     uint64_t last, uint64_t& sequence) {
  const std::optional<EventPosition> no;
  INDOUBT_ASSIGN_OR_RETURN(sequence, SequenceAtOrBefore(db, up_to));
  if (last > 0) sequence = std::min(sequence, last - 1);
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * before,
      db.Cached("SELECT compacted_sequence, compacted_left FROM beginning"));
  INDOUBT_RETURN_IF_ERROR(before->Next().status());
  const uint64_t from = before->U64(0);
  const uint64_t left = before->U64(1);
  before->Reset();
  if (sequence < from + std::max(left, kFewEvents)) return no;
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * at,
                           db.Cached("SELECT sequence, lsn, ordinal FROM events WHERE "
                                     "sequence <= ?1 AND ordinal < ?2 "
                                     "ORDER BY sequence DESC LIMIT 1"));
  at->Bind(1, sequence);
  at->Bind(2, kFirstPartOrdinal);  // not within a large transaction
  INDOUBT_ASSIGN_OR_RETURN(const bool found, at->Next());
  if (!found) return no;
  sequence = at->U64(0);
  const EventPosition to{Lsn{at->U64(1)}, at->U64(2)};
  at->Reset();
  return std::optional(to);
}

Status WriteCompacted(SqliteDatabase& db, const std::vector<CompactedEvent>& events,
                      const LogCompaction& pass) {
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(db));
  for (const CompactedEvent& event : events) {
    INDOUBT_ASSIGN_OR_RETURN(
        SqliteQuery * query,
        db.Cached(event.payload ? "UPDATE events SET crc = ?2, payload = ?3 WHERE sequence = ?1"
                                : "DELETE FROM events WHERE sequence = ?1"));
    query->Bind(1, event.sequence);
    if (event.payload) {
      query->Bind(2, uint64_t{Crc32c(*event.payload)});
      query->BindBlob(3, *event.payload);
    }
    INDOUBT_RETURN_IF_ERROR(query->Run());
  }
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * beginning,
      db.Cached("UPDATE beginning SET compacted_sequence = ?1, compacted_lsn = ?2, "
                "compacted_ordinal = ?3, compacted_left = ?4"));
  beginning->Bind(1, pass.to_sequence());
  beginning->Bind(2, pass.to().lsn.value);
  beginning->Bind(3, pass.to().ordinal);
  beginning->Bind(4, pass.kept());
  INDOUBT_RETURN_IF_ERROR(beginning->Run());
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_log_compacting"));
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  return HitFailPoint("cdc_log_compacted");
}

}  // namespace indoubt::cdc_internal
