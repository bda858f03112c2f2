#include "cdc/snapshot.h"

#include <charconv>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/failpoint.h"

namespace indoubt::cdc_internal {
namespace {

constexpr int kChunkRows = 1000;

struct SourceTable {
  std::string qualified;  // quoted, for SQL
  events::Relation shape;
};

Result<uint32_t> ParseOid(const std::optional<std::string>& text) {
  uint32_t oid = 0;
  if (!text ||
      std::from_chars(text->data(), text->data() + text->size(), oid).ec != std::errc()) {
    return Status(StatusCode::kInternal,
                  "cdc source: the server sent no oid where one belongs");
  }
  return oid;
}

// The shape that pgoutput would send for `table`.
Result<SourceTable> ReadTable(PgConnection& connection, const std::string& table,
                              TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows found,
      connection.Query(
          fmt::format("SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, "
                      "format('%I.%I', n.nspname, c.relname) FROM pg_class c "
                      "JOIN pg_namespace n ON n.oid = c.relnamespace "
                      "WHERE c.oid = to_regclass({})",
                      connection.Literal(table)),
          deadline));
  if (found.empty()) {
    return Status(StatusCode::kNotFound,
                  fmt::format("cdc source: there is no table \"{}\"; create it first", table));
  }
  const auto& row = found[0];
  if (row[3] != "r") {
    return Status(StatusCode::kRefused,
                  fmt::format("cdc source: \"{}\" is no ordinary table", table));
  }
  SourceTable result;
  INDOUBT_ASSIGN_OR_RETURN(const uint32_t oid, ParseOid(row[0]));
  result.shape.set_oid(oid);
  result.shape.set_schema(row[1].value_or(""));
  result.shape.set_name(row[2].value_or(""));
  result.qualified = row[5].value_or("");
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows columns,
      connection.Query(
          fmt::format("SELECT a.attname, a.atttypid, '{}' = 'f' OR a.attnum = ANY(coalesce("
                      "(SELECT i.indkey::int2[] FROM pg_index i WHERE i.indrelid = a.attrelid "
                      "AND CASE '{}' WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END), "
                      "'{{}}')) FROM pg_attribute a WHERE a.attrelid = {} AND a.attnum > 0 "
                      "AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum",
                      row[4].value_or(""), row[4].value_or(""), oid),
          deadline));
  bool has_key = false;
  for (const auto& fields : columns) {
    events::Column* column = result.shape.add_columns();
    column->set_name(fields[0].value_or(""));
    INDOUBT_ASSIGN_OR_RETURN(const uint32_t type, ParseOid(fields[1]));
    column->set_type_oid(type);
    column->set_key(fields[2] == "t" && row[4] != "n");
    has_key = has_key || column->key();
  }
  if (!has_key) {
    return Status(StatusCode::kRefused,
                  fmt::format("cdc source: table \"{}\" has no replica identity; give it a "
                              "primary key",
                              table));
  }
  return result;
}

Status EnsurePublication(PgConnection& connection, const SlotOptions& options,
                         const std::vector<SourceTable>& tables, TimePoint deadline) {
  const std::string name = connection.Literal(options.publication);
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows known,
      connection.Query("SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM "
                       "pg_publication WHERE pubname = " +
                           name,
                       deadline));
  std::set<std::string> wanted;
  for (const SourceTable& table : tables) wanted.insert(table.qualified);
  if (known.empty()) {
    return connection
        .Query(fmt::format("CREATE PUBLICATION {} FOR TABLE {}",
                           connection.Identifier(options.publication), fmt::join(wanted, ", ")),
               deadline)
        .status();
  }
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query("SELECT format('%I.%I', schemaname, tablename) FROM "
                       "pg_publication_tables WHERE rowfilter IS NULL AND pubname = " +
                           name,
                       deadline));
  std::set<std::string> published;
  for (const auto& row : rows) published.insert(row[0].value_or(""));
  if (published != wanted || known[0][0] != "t") {
    return Status(
        StatusCode::kRefused,
        fmt::format("publication \"{}\" publishes {{{}}}, not all changes of {{{}}}; "
                    "name another publication, slot and event log",
                    options.publication, fmt::join(published, ", "), fmt::join(wanted, ", ")));
  }
  return Status::Ok();
}

// A cursor inside of the exported snapshot, a chunk an event.
class SnapshotCopy {
 public:
  SnapshotCopy(PgConnection& connection, EventLog& log, Lsn lsn, TimePoint deadline)
      : connection_(connection), log_(log), lsn_(lsn), deadline_(deadline) {}

  Status CopyTable(const SourceTable& table) {
    std::vector<std::string> names;
    for (const events::Column& column : table.shape.columns()) {
      // Every type's text output is what pgoutput sends, booleans included.
      names.push_back(connection_.Identifier(column.name()));
    }
    INDOUBT_RETURN_IF_ERROR(
        connection_
            .Query(
                fmt::format("DECLARE indoubt_copy NO SCROLL CURSOR FOR SELECT {} FROM ONLY {}",
                            fmt::join(names, ", "), table.qualified),
                deadline_)
            .status());
    for (;;) {
      INDOUBT_ASSIGN_OR_RETURN(
          const PgRows rows,
          connection_.Query(fmt::format("FETCH {} FROM indoubt_copy", kChunkRows), deadline_));
      if (rows.empty()) break;
      INDOUBT_RETURN_IF_ERROR(AppendChunk(table, rows));
    }
    return connection_.Query("CLOSE indoubt_copy", deadline_).status();
  }

 private:
  Status AppendChunk(const SourceTable& table, const PgRows& rows) {
    events::Transaction chunk;
    chunk.set_commit_end_lsn(lsn_.value);
    chunk.set_snapshot(true);
    *chunk.add_relations() = table.shape;
    for (const auto& row : rows) {
      events::Change* change = chunk.add_changes();
      change->set_kind(events::Change::INSERT);
      change->set_relation_oid(table.shape.oid());
      for (const auto& field : row) {
        events::Datum* datum = change->mutable_after()->add_values();
        if (field) {
          datum->set_text(*field);
        } else {
          datum->set_null(true);
        }
      }
    }
    INDOUBT_RETURN_IF_ERROR(log_.AppendSnapshotChunk({lsn_, ordinal_++}, chunk));
    return HitFailPoint("cdc_snapshot_chunk");
  }

  PgConnection& connection_;
  EventLog& log_;
  const Lsn lsn_;
  const TimePoint deadline_;
  uint64_t ordinal_ = 0;
};

Result<bool> SlotExists(PgConnection& connection, const std::string& slot, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows rows,
      connection.Query(
          "SELECT 1 FROM pg_replication_slots WHERE slot_name = " + connection.Literal(slot),
          deadline));
  return !rows.empty();
}

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

// The slot, which waits for every transaction that runs at the source or is prepared.
Result<PgRows> MakeSlot(PgConnection& walsender, const SlotOptions& options,
                        const StopSignal& stop, TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(
      walsender
          .Query(
              fmt::format(
                  "SET lock_timeout = {}",
                  std::chrono::ceil<std::chrono::milliseconds>(options.lock_timeout).count()),
              deadline)
          .status());
  auto made = walsender.Query(fmt::format("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput "
                                          "(SNAPSHOT 'export', TWO_PHASE)",
                                          walsender.Identifier(options.slot)),
                              deadline);
  if (made || made.error().code() != StatusCode::kLocked) return made;
  return WaitedTooLong(made.error(), options, stop, deadline);
}

Status CopySnapshot(const SlotOptions& options, const std::vector<std::string>& tables,
                    EventLog& log, const StopSignal& stop, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto walsender,
                           PgConnection::Connect(options.dsn, true, stop, deadline));
  INDOUBT_ASSIGN_OR_RETURN(const bool exists, SlotExists(*walsender, options.slot, deadline));
  const std::string slot = walsender->Identifier(options.slot);
  if (exists && log.state() == EventLogState::kNew) {
    return Status(StatusCode::kRefused,
                  fmt::format("replication slot \"{}\" exists, but the event log is empty: it "
                              "belongs to another log; name another slot, or drop it with "
                              "SELECT pg_drop_replication_slot('{}')",
                              options.slot, options.slot));
  }
  if (exists) {  // left by an attempt that did not finish
    INDOUBT_RETURN_IF_ERROR(
        walsender->Query(fmt::format("DROP_REPLICATION_SLOT {} WAIT", slot), deadline)
            .status());
  }
  INDOUBT_RETURN_IF_ERROR(log.BeginSnapshot(options.slot));
  INDOUBT_ASSIGN_OR_RETURN(const PgRows made, MakeSlot(*walsender, options, stop, deadline));
  if (made.size() != 1 || made[0].size() < 3 || !made[0][1] || !made[0][2]) {
    return Status(StatusCode::kInternal, "cdc source: the server made a slot and no snapshot");
  }
  INDOUBT_ASSIGN_OR_RETURN(const Lsn lsn, Lsn::Parse(*made[0][1]));
  // The snapshot is there as long as `walsender` does nothing else.
  INDOUBT_ASSIGN_OR_RETURN(auto reader,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  INDOUBT_RETURN_IF_ERROR(
      reader->Query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline).status());
  INDOUBT_RETURN_IF_ERROR(
      reader->Query("SET TRANSACTION SNAPSHOT " + reader->Literal(*made[0][2]), deadline)
          .status());
  SnapshotCopy copy(*reader, log, lsn, deadline);
  for (const std::string& name : tables) {
    INDOUBT_ASSIGN_OR_RETURN(const SourceTable table, ReadTable(*reader, name, deadline));
    INDOUBT_RETURN_IF_ERROR(copy.CopyTable(table));
  }
  INDOUBT_RETURN_IF_ERROR(reader->Query("COMMIT", deadline).status());
  return log.FinishSnapshot(lsn);
}

}  // namespace

Status PrepareSource(const SlotOptions& options, const std::vector<std::string>& tables,
                     EventLog& log, const StopSignal& stop, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.dsn, false, stop, deadline));
  if (log.state() != EventLogState::kNew && log.slot() != options.slot) {
    return Status(StatusCode::kRefused,
                  fmt::format("the event log was begun with slot \"{}\", not \"{}\"",
                              log.slot(), options.slot));
  }
  std::vector<SourceTable> shapes;
  for (const std::string& name : tables) {
    INDOUBT_ASSIGN_OR_RETURN(shapes.emplace_back(), ReadTable(*connection, name, deadline));
  }
  INDOUBT_RETURN_IF_ERROR(EnsurePublication(*connection, options, shapes, deadline));
  if (log.state() == EventLogState::kStreaming) return Status::Ok();
  return CopySnapshot(options, tables, log, stop, deadline);
}

}  // namespace indoubt::cdc_internal
