// How two-phase transactions ended, as the event log's file says it: for an audit.
#include <fmt/format.h>
#include <unistd.h>

#include "cdc/log/log_trim.h"
#include "cdc/log/sqlite_event_log.h"
#include "cdc/log/sqlite_event_log_file.h"

namespace indoubt {
namespace {

using cdc_internal::SqliteDatabase;
using cdc_internal::SqliteQuery;

/// The first version whose file holds outcomes.
constexpr uint64_t kWithOutcomes = 2;

StreamOutcome::Kind OutcomeKind(uint64_t stored) {
  if (stored == 2) return StreamOutcome::Kind::kPrepared;
  return stored == 1 ? StreamOutcome::Kind::kCommitted : StreamOutcome::Kind::kRolledBack;
}

}  // namespace

Result<StreamRecord> ReadStreamRecord(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) {
    return Status(
        StatusCode::kNotFound,
        fmt::format("there is no event log {}: no worker has run; `indoubt cdc run` is the "
                    "worker",
                    path));
  }
  INDOUBT_ASSIGN_OR_RETURN(auto db,
                           SqliteDatabase::Open(path, SqliteDatabase::Mode::kReadOnly));
  INDOUBT_RETURN_IF_ERROR(db->Execute("BEGIN"));  // one state of the file
  StreamRecord record;
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery log, db->Prepare("SELECT version, complete FROM log"));
  INDOUBT_ASSIGN_OR_RETURN(const bool found, log.Next());
  if (!found || log.U64(0) < kWithOutcomes || log.U64(0) > cdc_internal::kEventLogVersion) {
    return Status(StatusCode::kRefused,
                  fmt::format("{} is an event log of another version, which does not say how "
                              "two-phase transactions ended; run this version's worker on it",
                              path));
  }
  record.complete = Lsn{log.U64(1)};
  if (log.U64(0) > cdc_internal::kWholeEventLogVersion) {
    INDOUBT_ASSIGN_OR_RETURN(const LogBegin begin, cdc_internal::ReadLogBegin(*db));
    record.from = begin.removed.lsn;
  }
  log.Reset();
  INDOUBT_ASSIGN_OR_RETURN(SqliteQuery rows,
                           db->Prepare("SELECT gid, committed, lsn FROM outcomes UNION ALL "
                                       "SELECT gid, 2, lsn FROM staged ORDER BY lsn"));
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, rows.Next());
    if (!more) return record;
    record.outcomes.push_back({rows.Bytes(0), OutcomeKind(rows.U64(1)), Lsn{rows.U64(2)}});
  }
}

}  // namespace indoubt
