#include "cdc/source/source_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/failpoint.h"
#include "cdc/source/source_clock.h"

namespace indoubt::cdc_internal {
namespace {

/// The columns into `result`, whose oid is known, and the order of its key's. `identity` is
/// pg_class.relreplident.
Status ReadColumns(PgConnection& connection, const std::string& identity,
                   const std::string& table, TimePoint deadline,
                   events::SnapshotProgress::Table& result) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows columns,
      connection.Query(
          fmt::format("SELECT a.attname, a.atttypid, '{}' = 'f' OR a.attnum = ANY(coalesce("
                      "(SELECT (i.indkey::int2[])[0:i.indnkeyatts - 1] FROM pg_index i WHERE "
                      "i.indrelid = a.attrelid AND i.indimmediate "  // as the server has it
                      "AND CASE '{}' WHEN 'i' THEN i.indisreplident ELSE i.indisprimary END), "
                      "'{{}}')), format_type(a.atttypid, a.atttypmod), "
                      "(SELECT format('%I.%I', n.nspname, l.collname) FROM pg_collation l "
                      "JOIN pg_namespace n ON n.oid = l.collnamespace "
                      "WHERE l.oid = a.attcollation), a.attgenerated <> '' FROM pg_attribute a "
                      "WHERE a.attrelid = {} "
                      "AND a.attnum > 0 "
                      "AND NOT a.attisdropped ORDER BY a.attnum",
                      identity, identity, result.shape().oid()),
          deadline));
  events::Relation* shape = result.mutable_shape();
  bool has_key = false;
  for (const auto& fields : columns) {
    if (fields[5] == "t") {  // not in the stream
      if (fields[2] != "t" || identity == "f") continue;
      return Status(
          StatusCode::kRefused,
          fmt::format("cdc source: the key of table \"{}\" has the generated column "
                      "\"{}\", which the stream does not carry; give it a key without "
                      "(REPLICA IDENTITY USING INDEX, or FULL)",
                      table, fields[0].value_or("")));
    }
    events::Column* column = shape->add_columns();
    column->set_name(fields[0].value_or(""));
    INDOUBT_ASSIGN_OR_RETURN(const uint32_t type, ParseCatalogNumber(fields[1]));
    column->set_type_oid(type);
    column->set_key(fields[2] == "t" && identity != "n");
    has_key = has_key || column->key();
    if (!column->key() || identity == "f") continue;
    auto* order = result.add_order();
    order->set_place(static_cast<uint32_t>(shape->columns_size() - 1));
    order->set_type(fields[3].value_or(""));
    order->set_collation(fields[4].value_or(""));
  }
  if (!has_key) {
    return Status(StatusCode::kRefused,
                  fmt::format("cdc source: table \"{}\" has no replica identity; give it a "
                              "primary key that is not deferrable, or another one",
                              table));
  }
  return Status::Ok();
}

// Who has locked the table, or waits to and has others wait behind; the transaction is over.
Result<std::string> WhoIsInTheWay(PgConnection& connection,
                                  const events::SnapshotProgress::Table& table,
                                  TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(connection.Query("ROLLBACK", deadline).status());
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows found,
      connection.Query(
          fmt::format("SELECT DISTINCT coalesce('process ' || pid, 'a prepared transaction') "
                      "FROM pg_locks WHERE locktype = 'relation' AND relation = {} "
                      "AND mode = 'AccessExclusiveLock' AND database = (SELECT oid FROM "
                      "pg_database WHERE datname = current_database()) LIMIT 5",
                      table.shape().oid()),
          deadline));
  std::vector<std::string> named;
  for (const auto& row : found) named.push_back(row[0].value_or("?"));
  if (named.empty()) named.emplace_back("a transaction that has ended since");
  return fmt::format("{}", fmt::join(named, ", "));
}

Status LockTable(PgConnection& connection, const events::SnapshotProgress::Table& table,
                 TimePoint deadline) {
  const Status locked =
      connection
          .Query(fmt::format("LOCK TABLE ONLY {} IN ACCESS SHARE MODE", table.qualified()),
                 deadline)
          .status();
  if (locked.code() == StatusCode::kLocked) {
    INDOUBT_ASSIGN_OR_RETURN(const std::string who, WhoIsInTheWay(connection, table, deadline));
    return Status(StatusCode::kLocked,
                  fmt::format("{}: it waits for {} (see pg_stat_activity, pg_prepared_xacts); "
                              "let that end, then start again",
                              locked.message(), who));
  }
  INDOUBT_RETURN_IF_ERROR(locked);
  // A query sees pg_class as of the snapshot, these functions see it as it is.
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows same,
      connection.Query(
          fmt::format("SELECT 1 FROM pg_class c WHERE c.oid = {} AND c.oid = to_regclass({}) "
                      "AND c.relfilenode = pg_relation_filenode(c.oid)",
                      table.shape().oid(), connection.Literal(table.qualified())),
          deadline));
  if (!same.empty()) return Status::Ok();
  return Status(StatusCode::kAborted,
                "cdc source: it was rewritten or replaced (ALTER TABLE, TRUNCATE) after the "
                "snapshot that was to copy it; start again");
}

}  // namespace

Result<events::SnapshotProgress::Table> ReadSourceTable(PgConnection& connection,
                                                        const std::string& table,
                                                        TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(
      const PgRows found,
      connection.Query(
          fmt::format("SELECT c.oid, n.nspname, c.relname, c.relkind, c.relreplident, "
                      "format('%I.%I', n.nspname, c.relname), pg_relation_filenode(c.oid), "
                      "c.relpersistence "
                      "FROM pg_class c "
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
    return Status(
        StatusCode::kRefused,
        fmt::format("cdc source: \"{}\" is no ordinary table; {} ([cdc] tables)", table,
                    row[3] == "p" ? "it is partitioned: name its partitions instead"
                                  : "name the tables whose rows it shows instead"));
  }
  if (row[7] != "p") {
    return Status(
        StatusCode::kRefused,
        fmt::format("cdc source: \"{}\" is unlogged or temporary, so its changes are in "
                    "no log; ALTER TABLE ... SET LOGGED",
                    table));
  }
  events::SnapshotProgress::Table result;
  events::Relation* shape = result.mutable_shape();
  INDOUBT_ASSIGN_OR_RETURN(const uint32_t oid, ParseCatalogNumber(row[0]));
  shape->set_oid(oid);
  shape->set_schema(row[1].value_or(""));
  shape->set_name(row[2].value_or(""));
  result.set_qualified(row[5].value_or(""));
  INDOUBT_ASSIGN_OR_RETURN(const uint32_t filenode, ParseCatalogNumber(row[6]));
  result.set_filenode(filenode);
  INDOUBT_RETURN_IF_ERROR(
      ReadColumns(connection, row[4].value_or(""), table, deadline, result));
  return result;
}

Result<std::vector<events::SnapshotProgress::Table>> LockSourceTables(
    PgConnection& connection, const std::vector<std::string>& tables, Duration lock_timeout,
    TimePoint deadline) {
  INDOUBT_RETURN_IF_ERROR(HitFailPoint("cdc_snapshot_begun"));
  INDOUBT_RETURN_IF_ERROR(
      connection
          .Query(
              fmt::format("SET LOCAL lock_timeout = {}",
                          std::chrono::ceil<std::chrono::milliseconds>(lock_timeout).count()),
              deadline)
          .status());
  std::vector<events::SnapshotProgress::Table> locked;
  for (const std::string& table : tables) {
    INDOUBT_ASSIGN_OR_RETURN(locked.emplace_back(),
                             ReadSourceTable(connection, table, deadline));
    INDOUBT_RETURN_IF_ERROR(LockTable(connection, locked.back(), deadline)
                                .WithContext(fmt::format("locking table \"{}\"", table)));
  }
  return locked;
}

std::string KeyColumns(const PgConnection& connection,
                       const events::SnapshotProgress::Table& table) {
  std::vector<std::string> names;
  for (const auto& column : table.order()) {
    names.push_back(
        connection.Identifier(table.shape().columns(static_cast<int>(column.place())).name()));
  }
  return fmt::format("({})", fmt::join(names, ", "));
}

std::string KeyValues(const PgConnection& connection,
                      const events::SnapshotProgress::Table& table,
                      const google::protobuf::RepeatedPtrField<std::string>& key) {
  std::vector<std::string> values;
  for (int i = 0; i < table.order_size() && i < key.size(); ++i) {
    const auto& column = table.order(i);
    values.push_back(fmt::format(
        "CAST({} AS {}){}", connection.Literal(key.Get(i)), column.type(),
        column.collation().empty() ? std::string() : " COLLATE " + column.collation()));
  }
  return fmt::format("({})", fmt::join(values, ", "));
}

events::Transaction SnapshotChunk(const events::Relation& shape, const PgRows& rows) {
  events::Transaction chunk;
  chunk.set_snapshot(true);
  chunk.set_commit_micros(MicrosSince2000());  // for the log's retention: as old as its copy
  *chunk.add_relations() = shape;
  for (const auto& row : rows) {
    events::Change* change = chunk.add_changes();
    change->set_kind(events::Change::INSERT);
    change->set_relation_oid(shape.oid());
    for (const auto& field : row) {
      events::Datum* datum = change->mutable_after()->add_values();
      if (field) {
        datum->set_text(*field);
      } else {
        datum->set_null(true);
      }
    }
  }
  return chunk;
}

}  // namespace indoubt::cdc_internal
