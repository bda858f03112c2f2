#include "cdc/source_check.h"

#include <charconv>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cdc/log/log_glance.h"
#include "cdc/pg_connection.h"
#include "cdc/source/publication.h"
#include "cdc/source/slot.h"
#include "cdc/source/source_history.h"
#include "cdc/source/source_table.h"

namespace indoubt {
namespace {

using cdc_internal::ANewSnapshotHelps;
using cdc_internal::CheckLogsSlot;
using cdc_internal::CheckNoSlot;
using cdc_internal::LogGlance;
using cdc_internal::PgConnection;
using cdc_internal::PgRows;
using cdc_internal::ReadSlot;
using cdc_internal::SlotFacts;

constexpr int64_t kOldestVersion = 150'000;  // server_version_num

/// One source, asked one thing after the other; what is found is in `report`.
class SourceCheck {
 public:
  SourceCheck(PgConnection& connection, const CdcOptions& options, TimePoint deadline,
              PreflightReport& report)
      : connection_(connection), options_(options), deadline_(deadline), report_(report) {}

  Status Run() {
    INDOUBT_RETURN_IF_ERROR(CheckServer());
    INDOUBT_RETURN_IF_ERROR(CheckRole());
    INDOUBT_RETURN_IF_ERROR(CheckPublication());
    INDOUBT_RETURN_IF_ERROR(CheckTables());
    INDOUBT_RETURN_IF_ERROR(CheckSlot());
    INDOUBT_RETURN_IF_ERROR(CheckRoom());
    return slot_.exists ? Status::Ok() : CheckPrepared();
  }

 private:
  template <typename... Args>
  void Problem(fmt::format_string<Args...> text, Args&&... args) {
    report_.problems.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  /// The only row of the answer, NULL as "".
  Result<std::vector<std::string>> Ask(const std::string& sql) {
    INDOUBT_ASSIGN_OR_RETURN(const PgRows rows, connection_.Query(sql, deadline_));
    if (rows.size() != 1) {
      return Status(StatusCode::kInternal,
                    "cdc source: the server answered with no row: " + sql);
    }
    std::vector<std::string> fields;
    for (const auto& field : rows[0]) fields.push_back(field.value_or(""));
    return fields;
  }

  static int64_t Number(const std::string& text) {
    int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  }

  Status CheckServer() {
    INDOUBT_ASSIGN_OR_RETURN(
        const auto row,
        Ask("SELECT current_setting('server_version'), current_setting('server_version_num'), "
            "current_setting('wal_level'), pg_is_in_recovery()"));
    report_.version = "PostgreSQL " + row[0].substr(0, row[0].find(' '));
    if (Number(row[1]) < kOldestVersion) {
      Problem("PostgreSQL {} is older than 15, the first that indoubt follows", row[0]);
    }
    if (row[2] != "logical") {
      Problem(
          "wal_level is {}: there is no logical slot without wal_level = logical; ALTER "
          "SYSTEM SET wal_level = logical, then restart the server",
          row[2]);
    }
    if (row[3] == "t") Problem("the server is a standby: name the primary");
    return Status::Ok();
  }

  Status CheckRole() {
    INDOUBT_ASSIGN_OR_RETURN(
        const auto row, Ask("SELECT rolname, rolreplication OR rolsuper FROM pg_roles WHERE "
                            "rolname = current_user"));
    role_ = row[0];
    if (row[1] != "t") {
      Problem("role \"{}\" may not replicate; ALTER ROLE {} REPLICATION", role_,
              connection_.Identifier(role_));
    }
    return Status::Ok();
  }

  /// Whether it is there, or can be made.
  Status CheckPublication() {
    INDOUBT_ASSIGN_OR_RETURN(
        const auto row,
        Ask(fmt::format("SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = {}), "
                        "has_database_privilege(current_database(), 'CREATE'), "
                        "current_database()",
                        connection_.Literal(options_.publication))));
    publication_is_there_ = row[0] == "t";
    if (!publication_is_there_ && row[1] != "t") {
      Problem("role \"{}\" may not make publication \"{}\"; GRANT CREATE ON DATABASE {} TO {}",
              role_, options_.publication, connection_.Identifier(row[2]),
              connection_.Identifier(role_));
    }
    return Status::Ok();
  }

  Status CheckTables() {
    std::set<std::string> qualified;
    for (const std::string& table : options_.tables) {
      const auto found = cdc_internal::ReadSourceTable(connection_, table, deadline_);
      if (!found) {
        const StatusCode code = found.error().code();
        if (code != StatusCode::kNotFound && code != StatusCode::kRefused) return found.error();
        report_.problems.push_back(found.error().message());
        continue;
      }
      qualified.insert(found->qualified());
      INDOUBT_ASSIGN_OR_RETURN(
          const auto row,
          Ask(fmt::format("SELECT pg_has_role(relowner, 'USAGE'), "
                          "has_table_privilege(oid, 'SELECT') FROM pg_class WHERE oid = {}",
                          found->shape().oid())));
      if (row[1] != "t") {
        Problem("role \"{}\" may not read table {}; GRANT SELECT ON {} TO {}", role_,
                found->qualified(), found->qualified(), connection_.Identifier(role_));
      }
      if (!publication_is_there_ && row[0] != "t") {
        Problem(
            "role \"{}\" does not own table {}, so it cannot publish it; ALTER TABLE {} "
            "OWNER TO {}",
            role_, found->qualified(), found->qualified(), connection_.Identifier(role_));
      }
    }
    // What a table that is named above would be published as, nobody knows.
    if (!publication_is_there_ || qualified.size() != options_.tables.size()) {
      return Status::Ok();
    }
    const Status published =
        cdc_internal::CheckPublication(connection_, options_.publication, qualified, deadline_);
    if (published.code() != StatusCode::kRefused) return published;
    Note(published);
    return Status::Ok();
  }

  /// As the worker will ask for it: by what the event log says, if there is one.
  Status CheckSlot() {
    INDOUBT_ASSIGN_OR_RETURN(slot_, ReadSlot(connection_, options_.slot, deadline_));
    auto log = LogGlance::Open(options_.event_log_path);  // after the slot: see CheckSlot
    if (!log && log.error().code() != StatusCode::kNotFound) {
      Note(log.error());
    } else if (!log || log->state() == EventLogState::kNew) {
      Note(CheckNoSlot(slot_));
    } else if (const Status begun = CheckLogsSlot(log->slot(), options_.slot); !begun.ok()) {
      Note(begun);
    } else if (log->state() == EventLogState::kStreaming) {
      Status goes_on = cdc_internal::CheckSlot(slot_, log->end().complete);
      if (goes_on.ok()) {
        goes_on = cdc_internal::CheckLogsHistory(
            {options_.source_dsn, options_.slot, options_.publication}, slot_, *log, deadline_);
      }
      NoteWhetherItGoesOn(goes_on);
      return CheckLogsPublication(*log);
    }
    return Status::Ok();
  }

  Status CheckLogsPublication(LogGlance& log) {
    INDOUBT_ASSIGN_OR_RETURN(const events::SnapshotProgress begun, log.Progress());
    const Status same = cdc_internal::CheckLogsPublication(connection_, options_.publication,
                                                           begun.publication(), deadline_);
    if (same.code() != StatusCode::kRefused) return same;
    Note(same);
    return Status::Ok();
  }

  void NoteWhetherItGoesOn(const Status& checked) {
    if (checked.ok()) {
      report_.notes.push_back(fmt::format(
          "replication slot \"{}\" is there, {}", options_.slot,
          slot_.followed ? "and a worker follows it" : "and nobody follows it now"));
    } else if (options_.on_slot_loss == OnSlotLoss::kSnapshot && ANewSnapshotHelps(checked)) {
      report_.warnings.push_back(fmt::format(
          "replication slot \"{}\" has lost changes: the worker will copy the tables "
          "again and derive every view anew",
          options_.slot));
    } else {
      Note(checked);
    }
  }

  /// `checked`, when it is an error, is a problem.
  void Note(const Status& checked) {
    if (!checked.ok()) report_.problems.push_back(checked.message());
  }

  /// For the worker's slot and the walsender that follows it, and for one more of each, which
  /// a rebuild, or a view's copy, needs for a while.
  Status CheckRoom() {
    INDOUBT_ASSIGN_OR_RETURN(
        const auto row,
        Ask("SELECT current_setting('max_replication_slots'), (SELECT count(*) FROM "
            "pg_replication_slots), current_setting('max_wal_senders'), (SELECT count(*) FROM "
            "pg_stat_replication)"));
    CheckRoomFor("max_replication_slots", Number(row[0]), Number(row[1]) - slot_.exists);
    CheckRoomFor("max_wal_senders", Number(row[2]), Number(row[3]) - slot_.followed);
    return Status::Ok();
  }

  void CheckRoomFor(const char* setting, int64_t limit, int64_t used_by_others) {
    const int64_t enough = used_by_others + 2;
    const std::string remedy =
        fmt::format("ALTER SYSTEM SET {} = {}, then restart the server", setting, enough);
    if (used_by_others >= limit) {
      Problem("{} = {}, and all are used; {}", setting, limit, remedy);
    } else if (used_by_others + 1 == limit) {
      report_.warnings.push_back(
          fmt::format("{} = {} has room for the worker, and none for a rebuild beside it; {}",
                      setting, limit, remedy));
    }
  }

  Status CheckPrepared() {
    INDOUBT_ASSIGN_OR_RETURN(const auto row,
                             Ask("SELECT count(*), coalesce((SELECT gid FROM pg_prepared_xacts "
                                 "ORDER BY prepared LIMIT 1), '') FROM pg_prepared_xacts"));
    if (const int64_t count = Number(row[0]); count > 0) {
      report_.warnings.push_back(fmt::format(
          "{} prepared transaction{}, the oldest \"{}\": making the slot waits until "
          "each has ended",
          count, count == 1 ? "" : "s", row[1]));
    }
    return Status::Ok();
  }

  PgConnection& connection_;
  const CdcOptions& options_;
  const TimePoint deadline_;
  PreflightReport& report_;
  std::string role_;
  bool publication_is_there_ = false;
  SlotFacts slot_;
};

}  // namespace

Result<PreflightReport> CheckCdcSource(const CdcOptions& options, TimePoint deadline) {
  const cdc_internal::StopSignal never;
  INDOUBT_ASSIGN_OR_RETURN(auto connection,
                           PgConnection::Connect(options.source_dsn, false, never, deadline));
  PreflightReport report;
  INDOUBT_RETURN_IF_ERROR(SourceCheck(*connection, options, deadline, report).Run());
  return report;
}

}  // namespace indoubt
