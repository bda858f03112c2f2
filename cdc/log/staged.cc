#include "cdc/log/staged.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace indoubt::cdc_internal {

const char kStagedSchema[] = R"(
CREATE TABLE IF NOT EXISTS staged(
  gid TEXT PRIMARY KEY, lsn INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS outcomes(
  lsn INTEGER PRIMARY KEY, gid TEXT NOT NULL, committed INTEGER NOT NULL);
)";

Result<bool> HasOutcome(SqliteDatabase& db, Lsn lsn) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery query,
                           db.Prepare("SELECT 1 FROM outcomes WHERE lsn = ?1"));
  query.Bind(1, lsn.value);
  return query.Next();
}

Status StagedTransactions::Stage(const events::Transaction& prepared) {
  const std::string payload = prepared.SerializeAsString();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_.Cached("INSERT OR REPLACE INTO staged VALUES (?1, ?2, ?3, ?4)"));
  query->BindText(1, prepared.gid());
  query->Bind(2, prepared.commit_end_lsn());
  query->Bind(3, uint64_t{Crc32c(payload)});
  query->BindBlob(4, payload);
  return query->Run();
}

Result<events::Transaction> StagedTransactions::Commit(const events::Transaction& end) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_.Cached("SELECT crc, payload FROM staged WHERE gid = ?1"));
  query->BindText(1, end.gid());
  INDOUBT_ASSIGN_OR_RETURN(const bool found, query->Next());
  if (!found) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("the source committed prepared transaction \"{}\", whose PREPARE "
                              "is not in the event log {}: its changes are missing; remove the "
                              "event log and the views' data, drop the slot, and start again "
                              "with a new snapshot",
                              end.gid(), db_.path()));
  }
  const uint64_t crc = query->U64(0);
  const std::string payload = query->Bytes(1);
  query->Reset();
  events::Transaction transaction;
  if (Crc32c(payload) != crc || !transaction.ParseFromString(payload)) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("event log {}: the staged transaction \"{}\" is not what was "
                              "written; restore the file, or remove it, drop the slot and "
                              "begin anew",
                              db_.path(), end.gid()));
  }
  transaction.set_phase(events::Transaction::COMMITTED);
  transaction.set_commit_end_lsn(end.commit_end_lsn());
  transaction.set_commit_micros(end.commit_micros());
  INDOUBT_RETURN_IF_ERROR(Drop(end.gid(), end.commit_end_lsn()));
  INDOUBT_RETURN_IF_ERROR(Remember(end, true));
  return transaction;
}

Status StagedTransactions::RollBack(const events::Transaction& end) {
  INDOUBT_RETURN_IF_ERROR(Drop(end.gid(), end.commit_end_lsn()));
  return Remember(end, false);
}

Status StagedTransactions::DropEnded(const events::Transaction& end) {
  return Drop(end.gid(), end.commit_end_lsn());
}

Result<uint64_t> StagedTransactions::Count() {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query, db_.Cached("SELECT count(*) FROM staged"));
  INDOUBT_RETURN_IF_ERROR(query->Next().status());
  const uint64_t count = query->U64(0);
  query->Reset();
  return count;
}

Status StagedTransactions::Remember(const events::Transaction& end, bool committed) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_.Cached("INSERT OR REPLACE INTO outcomes VALUES (?1, ?2, ?3)"));
  query->Bind(1, end.commit_end_lsn());
  query->BindText(2, end.gid());
  query->Bind(3, uint64_t{committed ? 1u : 0u});
  return query->Run();
}

// A gid may be used again once its transaction has ended: only what was prepared before.
Status StagedTransactions::Drop(const std::string& gid, uint64_t before) {
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery * query,
                           db_.Cached("DELETE FROM staged WHERE gid = ?1 AND lsn < ?2"));
  query->BindText(1, gid);
  query->Bind(2, before);
  return query->Run();
}

}  // namespace indoubt::cdc_internal
