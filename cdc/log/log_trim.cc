#include "cdc/log/log_trim.h"

#include <algorithm>

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include "base/failpoint.h"
#include "cdc/log/sqlite_event_log_file.h"

namespace indoubt::cdc_internal {
namespace {

using google::protobuf::internal::WireFormatLite;

// What one step takes: some milliseconds, for which an append may have to wait.
constexpr uint64_t kMaxEvents = 512;
constexpr uint64_t kMaxBytes = uint64_t{1} << 20;
// What an event takes in the file beside its payload, about.
constexpr uint64_t kRowBytes = 32;
// A file is made smaller when so much of it is free, and more than is used: what a log within
// its limits frees, its next events need.
constexpr uint64_t kShrinkFrom = uint64_t{16} << 20;
constexpr uint64_t kShrinkPages = 256;

Result<uint64_t> Number(SqliteDatabase& db, const std::string& sql) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query, db.Cached(sql));
  INDOUBT_RETURN_IF_ERROR(query->Next().status());
  const uint64_t number = query->U64(0);
  query->Reset();
  return number;
}

}  // namespace

const char kBeginningSchema[] = R"(
CREATE TABLE IF NOT EXISTS beginning(
  removed_sequence INTEGER NOT NULL, removed_lsn INTEGER NOT NULL,
  removed_ordinal INTEGER NOT NULL, compacted_sequence INTEGER NOT NULL,
  compacted_lsn INTEGER NOT NULL, compacted_ordinal INTEGER NOT NULL,
  compacted_left INTEGER NOT NULL);
INSERT INTO beginning SELECT 0, 0, 0, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM beginning);
)";
const char kBeginningReset[] =
    "UPDATE beginning SET removed_sequence = 0, removed_lsn = 0, removed_ordinal = 0, "
    "compacted_sequence = 0, compacted_lsn = 0, compacted_ordinal = 0, compacted_left = 0";

Result<LogBegin> ReadLogBegin(SqliteDatabase& db) {
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery query,
      db.Prepare("SELECT removed_sequence, removed_lsn, removed_ordinal, compacted_lsn, "
                 "compacted_ordinal FROM beginning"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query.Next());
  if (!found) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: it does not say where it begins; restore the "
                              "file, or remove it, drop the slot and begin anew",
                              db.path()));
  }
  LogBegin begin;
  begin.removed_sequence = query.U64(0);
  begin.removed = {Lsn{query.U64(1)}, query.U64(2)};
  begin.compacted = {Lsn{query.U64(3)}, query.U64(4)};
  return begin;
}

Result<uint64_t> UsedBytes(SqliteDatabase& db) {
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t pages, Number(db, "PRAGMA page_count"));
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t free, Number(db, "PRAGMA freelist_count"));
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t size, Number(db, "PRAGMA page_size"));
  return (pages - std::min(free, pages)) * size;
}

// Fields are stored in the order of their numbers, and those before this one are numbers, too.
int64_t CommitMicrosOf(std::string_view payload) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(payload.data()),
                                            static_cast<int>(payload.size()));
  for (;;) {
    const uint32_t tag = in.ReadTag();
    const int field = WireFormatLite::GetTagFieldNumber(tag);
    uint64_t value = 0;
    if (tag == 0 || field > events::Transaction::kCommitMicrosFieldNumber ||
        WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_VARINT ||
        !in.ReadVarint64(&value)) {
      return 0;
    }
    if (field == events::Transaction::kCommitMicrosFieldNumber) {
      return static_cast<int64_t>(value);
    }
  }
}

Result<std::optional<RemovalStep>> NextRemoval(SqliteDatabase& db, const Removal& removal,
                                               uint64_t last) {
  uint64_t used = 0;
  if (removal.above_bytes) {
    INDOUBT_ASSIGN_OR_RETURN(used, UsedBytes(db));
  }
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db.Cached("SELECT sequence, lsn, ordinal, payload FROM events "
                                     "WHERE sequence < ?1 ORDER BY sequence"));
  query->Bind(1, last);
  std::optional<RemovalStep> step;
  uint64_t events = 0, bytes = 0;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
    if (!found) return step;
    const EventPosition position{Lsn{query->U64(1)}, query->U64(2)};
    const std::string_view payload = query->View(3);
    const bool old =
        removal.committed_before && CommitMicrosOf(payload) < *removal.committed_before;
    const bool above = removal.above_bytes && used > *removal.above_bytes;
    const bool goes = position <= removal.up_to && (old || above);
    const bool full = step && (events == kMaxEvents || bytes + payload.size() > kMaxBytes);
    if (!goes || full) {
      query->Reset();
      if (step) step->more = goes;
      return step;
    }
    step = RemovalStep{{.removed = position, .removed_sequence = query->U64(0)}};
    ++events;
    bytes += payload.size();
    used -= std::min(used, payload.size() + kRowBytes);
  }
}

Status Remove(SqliteDatabase& db, const LogBegin& to) {
  INDOUBT_ASSIGN_OR_RETURN(auto transaction, SqliteTransaction::Begin(db));
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * events,
                           db.Cached("DELETE FROM events WHERE sequence <= ?1"));
  events->Bind(1, to.removed_sequence);
  INDOUBT_RETURN_IF_ERROR(events->Run());
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * outcomes,
                           db.Cached("DELETE FROM outcomes WHERE lsn <= ?1"));
  outcomes->Bind(1, to.removed.lsn.value);
  INDOUBT_RETURN_IF_ERROR(outcomes->Run());
  INDOUBT_ASSIGN_OR_RETURN(
      SqliteQuery * beginning,
      db.Cached("UPDATE beginning SET removed_sequence = ?1, removed_lsn = ?2, "
                "removed_ordinal = ?3"));
  beginning->Bind(1, to.removed_sequence);
  beginning->Bind(2, to.removed.lsn.value);
  beginning->Bind(3, to.removed.ordinal);
  INDOUBT_RETURN_IF_ERROR(beginning->Run());
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_log_removing"));
  INDOUBT_RETURN_IF_ERROR(transaction.Commit());
  return HitFailPoint("cdc_log_removed");
}

Result<bool> ShrinkFile(SqliteDatabase& db) {
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t incremental, Number(db, "PRAGMA auto_vacuum"));
  if (incremental != 2) return false;  // a file that an older program has made
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t pages, Number(db, "PRAGMA page_count"));
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t free, Number(db, "PRAGMA freelist_count"));
  INDOUBT_ASSIGN_OR_RETURN(const uint64_t size, Number(db, "PRAGMA page_size"));
  if (free * size < kShrinkFrom || free * 2 < pages) return false;
  INDOUBT_RETURN_IF_ERROR(
      db.Execute(fmt::format("PRAGMA incremental_vacuum({})", kShrinkPages)));
  return true;
}

}  // namespace indoubt::cdc_internal
