#include "cdc/source/snapshot.h"

#include <algorithm>
#include <limits>
#include <random>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/failpoint.h"
#include "cdc/source/publication.h"
#include "cdc/source/source_history.h"
#include "cdc/source/source_table.h"

namespace indoubt::cdc_internal {
namespace {

constexpr int kChunkRows = 1000;
// How often a copy is begun at most, when tables are rewritten right then.
constexpr int kBeginnings = 3;
// Of a slot's 63 characters, with room for "_" and eight digits.
constexpr size_t kSlotPrefix = 54;

constexpr Lsn kNoLsnIsBeyond{std::numeric_limits<uint64_t>::max()};

using Table = events::SnapshotProgress::Table;
using Progress = events::SnapshotProgress;

/// Lets an idle source go on, and the log and its views with it, beyond the LSN that all chunks
/// share: there, a view that has them all cannot be told from one that has the first.
Status CommitSomething(PgConnection& source, TimePoint deadline) {
  return source.Query("SELECT pg_logical_emit_message(true, 'indoubt', 'copied')", deadline)
      .status();
}

// Copies what `progress` says is not there yet, a chunk an event, as the transaction that is
// open on `connection` sees it.
class SnapshotCopy {
 public:
  SnapshotCopy(PgConnection& connection, EventLog& log, Progress& progress, Duration patience)
      : connection_(connection), log_(log), progress_(progress), patience_(patience) {}

  Status CopyAll() {
    for (Table& table : *progress_.mutable_tables()) {
      if (table.state() == Progress::WHOLE) continue;
      INDOUBT_RETURN_IF_ERROR(CopyTable(table));
    }
    return Status::Ok();
  }

 private:
  TimePoint Deadline() const { return SystemClock().Now() + patience_; }

  Status CopyTable(Table& table) {
    std::vector<std::string> names;
    for (const events::Column& column : table.shape().columns()) {
      // Every type's text output is what pgoutput sends, booleans included.
      names.push_back(connection_.Identifier(column.name()));
    }
    std::string select =
        fmt::format("SELECT {} FROM ONLY {}", fmt::join(names, ", "), table.qualified());
    if (table.state() == Progress::PARTLY) {
      select += fmt::format(" WHERE {} > {}", KeyColumns(connection_, table),
                            KeyValues(connection_, table, table.key()));
    } else {
      table.set_first_ordinal(progress_.next_ordinal());
    }
    if (table.order_size() > 0) {
      std::string columns = KeyColumns(connection_, table);
      select += " ORDER BY " + columns.substr(1, columns.size() - 2);
    }
    INDOUBT_RETURN_IF_ERROR(
        connection_.Query("DECLARE indoubt_copy NO SCROLL CURSOR FOR " + select, Deadline())
            .status());
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(
          const PgRows rows,
          connection_.Query(fmt::format("FETCH {} FROM indoubt_copy", kChunkRows), Deadline()));
      if (rows.empty()) break;
      INDOUBT_RETURN_IF_ERROR(AppendChunk(table, rows));
    }
    table.set_state(Progress::WHOLE);  // kept with the next chunk
    return connection_.Query("CLOSE indoubt_copy", Deadline()).status();
  }

  Status AppendChunk(Table& table, const PgRows& rows) {
    events::Transaction chunk = SnapshotChunk(table.shape(), rows);
    chunk.set_commit_end_lsn(progress_.lsn());
    table.set_state(Progress::PARTLY);
    table.clear_key();
    for (const auto& column : table.order()) {
      table.add_key(rows.back().at(column.place()).value_or(""));
    }
    progress_.set_next_ordinal(progress_.next_ordinal() + 1);
    INDOUBT_RETURN_IF_ERROR(log_.AppendSnapshotChunk(chunk, progress_));
    return HitFailPoint("cdc_snapshot_chunk");
  }

  PgConnection& connection_;
  EventLog& log_;
  Progress& progress_;
  const Duration patience_;
};

// What made the creation of a slot wait too long, for a person.
Status WaitedTooLong(const Status& why, const SlotOptions& options, const StopSignal& stop,
                     TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows prepared,
      connection->Query("SELECT gid, date_trunc('second', now() - prepared)::text "
                        "FROM pg_prepared_xacts WHERE database = current_database() "
                        "ORDER BY prepared LIMIT 5",
                        deadline));
  std::vector<std::string> named;
  for (const auto& row : prepared) {
    named.push_back(fmt::format("\"{}\" (for {})", row[0].value_or("?"), row[1].value_or("?")));
  }
  const std::string blame =
      named.empty() ? "a transaction that runs at the source; end it (pg_stat_activity shows "
                      "the oldest xact_start)"
                    : fmt::format(
                          "prepared transactions that nobody has ended: {}; settle them "
                          "(indoubt txn list, or COMMIT PREPARED, ROLLBACK PREPARED)",
                          fmt::join(named, ", "));
  return Status(StatusCode::kLocked,
                fmt::format("replication slot \"{}\" cannot be made ({}): it waits for {}; "
                            "then start again",
                            options.slot, why.message(), blame));
}

// The slot, which waits for every transaction that runs at the source or is prepared. `form`
// is what CREATE_REPLICATION_SLOT says behind the name.
Result<ExportedSnapshot> MakeSlot(PgConnection& walsender, const SlotOptions& options,
                                  const std::string& form, const StopSignal& stop,
                                  TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(
      walsender
          .Query(
              fmt::format(
                  "SET lock_timeout = {}",
                  std::chrono::ceil<std::chrono::milliseconds>(options.lock_timeout).count()),
              deadline)
          .status());
  const auto made = walsender.Query(
      fmt::format("CREATE_REPLICATION_SLOT {} {}", walsender.Identifier(options.slot), form),
      deadline);
  if (!made && made.error().code() == StatusCode::kLocked) {
    return WaitedTooLong(made.error(), options, stop, deadline);
  }
  INDOUBT_RETURN_IF_ERROR(made.status());
  if (made->size() != 1 || made->front().size() < 3 || !made->front()[1] || !made->front()[2]) {
    return Status(StatusCode::kInternal, "cdc source: the server made a slot and no snapshot");
  }
  INDOUBT_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(*made->front()[1]));
  return ExportedSnapshot{lsn, *made->front()[2]};
}

// The first attempt: a slot, and the copy as of its consistent point. kAborted before anything
// is copied when a table was rewritten since that point.
Status BeginCopy(const SlotOptions& options, const std::vector<std::string>& tables,
                 const events::PublicationMarks& marks, EventLog& log, const StopSignal& stop,
                 Duration patience) {
  const TimePoint deadline = SystemClock().Now() + patience;
  INDOUBT_ASSIGN_OR_RETURN(auto walsender,
                           PgConnection::Connect(options.dsn, true, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const SlotFacts known, ReadSlot(*walsender, options.slot, deadline));
  const std::string slot = walsender->Identifier(options.slot);
  if (log.state() == EventLogState::kNew) INDOUBT_RETURN_IF_ERROR(CheckNoSlot(known));
  if (known.exists) {  // left by an attempt with which nobody can go on
    INDOUBT_RETURN_IF_ERROR(
        walsender->Query(fmt::format("DROP_REPLICATION_SLOT {} WAIT", slot), deadline)
            .status());
  }
  INDOUBT_RETURN_IF_ERROR(log.BeginSnapshot(options.slot));
  INDOUBT_ASSIGN_OR_RETURN(
      const ExportedSnapshot made,
      MakeSlot(*walsender, options, "LOGICAL pgoutput (SNAPSHOT 'export', TWO_PHASE)", stop,
               deadline));
  Progress progress;
  progress.set_lsn(made.lsn.value);
  *progress.mutable_publication() = marks;
  // The snapshot is there as long as `walsender` does nothing else.
  INDOUBT_ASSIGN_OR_RETURN(auto reader,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(*progress.mutable_source(), ReadSourceMarks(*reader, deadline));
  INDOUBT_RETURN_IF_ERROR(
      reader->Query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline).status());
  INDOUBT_RETURN_IF_ERROR(
      reader->Query("SET TRANSACTION SNAPSHOT " + reader->Literal(made.name), deadline)
          .status());
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<Table> locked,
                           LockSourceTables(*reader, tables, options.lock_timeout, deadline));
  progress.mutable_tables()->Assign(locked.begin(), locked.end());
  INDOUBT_RETURN_IF_ERROR(log.SaveSnapshotProgress(progress));
  SnapshotCopy copy(*reader, log, progress, patience);
  INDOUBT_RETURN_IF_ERROR(copy.CopyAll());
  INDOUBT_RETURN_IF_ERROR(reader->Query("COMMIT", SystemClock().Now() + patience).status());
  INDOUBT_RETURN_IF_ERROR(CommitSomething(*reader, SystemClock().Now() + patience));
  return log.FinishSnapshot(progress);
}

// Whether the tables still are those that the copy was begun with.
bool SameTables(const Progress& progress, const std::vector<Table>& tables) {
  if (static_cast<size_t>(progress.tables_size()) != tables.size()) return false;
  for (const Table& copied : progress.tables()) {
    const bool same = std::any_of(tables.begin(), tables.end(), [&](const Table& table) {
      return copied.shape().SerializeAsString() == table.shape().SerializeAsString() &&
             copied.filenode() == table.filenode() && copied.qualified() == table.qualified();
    });
    if (!same) return false;
  }
  return true;
}

// Writes down where the attempts before this one, which sees `snapshot`, have come.
Status BeginAttempt(Progress& progress, const std::string& snapshot, EventLog& log) {
  for (Table& table : *progress.mutable_tables()) {
    if (table.state() != Progress::PARTLY || table.order_size() > 0) continue;
    table.set_state(Progress::NONE);  // without an order nobody knows what it lacks
    progress.set_next_ordinal(table.first_ordinal());
  }
  Progress::Attempt* attempt = progress.add_attempts();
  attempt->set_snapshot(snapshot);
  for (const Table& table : progress.tables()) {
    Progress::Boundary* boundary = attempt->add_boundaries();
    boundary->set_oid(table.shape().oid());
    boundary->set_state(table.state());
    *boundary->mutable_key() = table.key();
  }
  return log.SaveSnapshotProgress(progress);
}

// A later attempt: what is missing, as the source is now. False when nobody can go on.
Result<bool> GoOnWithCopy(const SlotOptions& options, const std::vector<std::string>& tables,
                          Progress progress, EventLog& log, const StopSignal& stop,
                          Duration patience) {
  const TimePoint deadline = SystemClock().Now() + patience;
  const Status slot = CheckSlot(options, Lsn{progress.lsn()}, stop, deadline);
  if (ANewSnapshotHelps(slot)) return false;
  INDOUBT_RETURN_IF_ERROR(slot);
  INDOUBT_ASSIGN_OR_RETURN(auto reader,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const auto source, ReadSourceMarks(*reader, deadline));
  // Up to where a copy has seen the source is not kept: another timeline is another source.
  const Status same =
      CheckSourceMarks(options, progress.source(), source, kNoLsnIsBeyond, stop, deadline);
  if (same.code() == StatusCode::kCorrupt) return false;
  INDOUBT_RETURN_IF_ERROR(same);
  *progress.mutable_source() = source;
  INDOUBT_RETURN_IF_ERROR(
      reader->Query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline).status());
  INDOUBT_ASSIGN_OR_RETURN(const PgRows seen,
                           reader->Query("SELECT pg_current_snapshot()::text", deadline));
  const auto now = LockSourceTables(*reader, tables, options.lock_timeout, deadline);
  if (!now && now.error().code() == StatusCode::kAborted && !stop.is_set()) return false;
  INDOUBT_RETURN_IF_ERROR(now.status());
  if (!SameTables(progress, *now) || seen.empty() || !seen[0][0]) return false;
  INDOUBT_RETURN_IF_ERROR(BeginAttempt(progress, *seen[0][0], log));
  SnapshotCopy copy(*reader, log, progress, patience);
  INDOUBT_RETURN_IF_ERROR(copy.CopyAll());
  INDOUBT_ASSIGN_OR_RETURN(const PgRows end, reader->Query("SELECT pg_current_wal_insert_lsn()",
                                                           SystemClock().Now() + patience));
  INDOUBT_ASSIGN_OR_RETURN(const Lsn until,
                           Lsn::Parse(end.empty() ? "" : end[0][0].value_or("")));
  progress.set_copied_until(until.value);
  INDOUBT_RETURN_IF_ERROR(reader->Query("COMMIT", SystemClock().Now() + patience).status());
  INDOUBT_RETURN_IF_ERROR(CommitSomething(*reader, SystemClock().Now() + patience));
  INDOUBT_RETURN_IF_ERROR(log.FinishSnapshot(progress));
  return true;
}

// Of a log that streams: what was dropped is not made anew behind its back.
Status CheckItIsThere(PgConnection& connection, const std::string& name,
                      const std::set<std::string>& tables, TimePoint deadline) {
  const Status checked = CheckPublication(connection, name, tables, deadline);
  if (checked.code() != StatusCode::kNotFound) return checked;
  return LogsPublicationIsGone(name);
}

}  // namespace

Result<ExportedSnapshot> ExportSnapshot(PgConnection& walsender, const SlotOptions& options,
                                        const StopSignal& stop, TimePoint deadline) {
  SlotOptions own = options;
  own.slot =
      fmt::format("{}_{:08x}", options.slot.substr(0, kSlotPrefix), std::random_device()());
  return MakeSlot(walsender, own, "TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')", stop,
                  deadline);
}

Result<PublishedTables> PrepareSource(const SlotOptions& options,
                                      const std::vector<std::string>& tables, EventLog& log,
                                      const StopSignal& stop, Duration patience) {
  const TimePoint deadline = SystemClock().Now() + patience;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  std::vector<Table> shapes;
  for (const std::string& name : tables) {
    INDOUBT_ASSIGN_OR_RETURN(shapes.emplace_back(),
                             ReadSourceTable(*connection, name, deadline));
  }
  PublishedTables published;
  std::set<std::string> names;
  for (const Table& table : shapes) {
    published[table.shape().oid()] = table.qualified();
    names.insert(table.qualified());
  }
  const bool streaming = log.state() == EventLogState::kStreaming;
  INDOUBT_RETURN_IF_ERROR(
      streaming ? CheckItIsThere(*connection, options.publication, names, deadline)
                : EnsurePublication(*connection, options.publication, names, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const events::PublicationMarks marks,
                           ReadPublicationMarks(*connection, options.publication, deadline));
  INDOUBT_ASSIGN_OR_RETURN(auto progress, log.ReadSnapshotProgress());
  const bool known = progress && progress->has_publication();
  const Status same = known ? CheckPublicationMarks(options.publication,
                                                    progress->publication(), marks, published)
                            : Status::Ok();
  if (streaming) {
    INDOUBT_RETURN_IF_ERROR(same);
    if (known && progress->publication().row() == marks.row()) return published;
    // From here on it is known, or its new owner is.
    if (!progress) progress.emplace();
    *progress->mutable_publication() = marks;
    INDOUBT_RETURN_IF_ERROR(log.AmendSnapshotProgress(*progress));
    return published;
  }
  if (log.state() == EventLogState::kSnapshot && progress && same.ok()) {
    INDOUBT_ASSIGN_OR_RETURN(
        const bool done,
        GoOnWithCopy(options, tables, std::move(*progress), log, stop, patience));
    if (done) return published;
  }
  Status copied;
  for (int beginning = 0; beginning < kBeginnings; ++beginning) {
    copied = BeginCopy(options, tables, marks, log, stop, patience);
    if (copied.code() != StatusCode::kAborted || stop.is_set()) break;
  }
  INDOUBT_RETURN_IF_ERROR(copied);
  return published;
}

}  // namespace indoubt::cdc_internal
