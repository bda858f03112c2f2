#include "participants/sqlite/sqlite_repair.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "participants/sqlite/guard_triggers.h"
#include "participants/sqlite/row_locks.h"

namespace indoubt {
namespace sqlite {
namespace {

using Lines = std::vector<std::string>;

int64_t CountOf(const std::vector<Row>& rows) { return std::get<int64_t>(rows[0][0]); }

Status DropLocksWithoutBranch(Connection& connection, Lines& lines) {
  INDOUBT_RETURN_IF_ERROR(connection.Run(
      "DELETE FROM indoubt_lock WHERE NOT EXISTS(SELECT 1 FROM indoubt_branch b WHERE b.gid = "
      "indoubt_lock.gid AND b.participant = indoubt_lock.participant)"));
  const int64_t dropped = sqlite3_changes64(connection.handle());
  if (dropped > 0) lines.push_back(fmt::format("{} locks of no branch dropped", dropped));
  return Status::Ok();
}

/// Whatever of a branch's locks is there stays; a branch that cannot be read is told of.
Status LockAgain(Connection& connection, const Row& branch, Lines& lines) {
  const std::string& gid = std::get<std::string>(branch[0]);
  const auto* bytes = std::get_if<Blob>(&branch[3]);
  auto changes = DecodeChanges(bytes ? bytes->bytes : std::string());
  if (!changes.has_value()) {
    lines.push_back(fmt::format("branch {}: {}", gid, changes.error().message()));
    return Status::Ok();
  }
  std::vector<std::string> tables;
  for (const RowChange& change : *changes) tables.push_back(change.table);
  auto model = LoadModel(connection, tables);
  if (!model.has_value() && model.error().code() != StatusCode::kRefused) return model.error();
  if (!model.has_value() || SqlValue(FingerprintOf(*model, *changes)) != branch[2]) {
    lines.push_back(fmt::format(
        "branch {}: the schema has changed since its prepare; its commit will be heuristic",
        gid));
    return Status::Ok();
  }
  static const std::string kCount = "SELECT count(*) FROM indoubt_lock WHERE gid = ?1";
  INDOUBT_ASSIGN_OR_RETURN(const auto locks, LocksOf(connection, *model, *changes));
  INDOUBT_ASSIGN_OR_RETURN(const auto before, connection.Query(kCount, {&branch[0], 1}));
  INDOUBT_RETURN_IF_ERROR(StoreLocks(connection, locks, branch[0], branch[1]));
  INDOUBT_ASSIGN_OR_RETURN(const auto after, connection.Query(kCount, {&branch[0], 1}));
  if (CountOf(after) > CountOf(before)) {
    lines.push_back(fmt::format("branch {}: {} of its locks were missing and are back", gid,
                                CountOf(after) - CountOf(before)));
  }
  return Status::Ok();
}

Status LockBranchesAgain(Connection& connection, Lines& lines) {
  INDOUBT_ASSIGN_OR_RETURN(
      const auto branches,
      connection.Query("SELECT gid, participant, fingerprint, changes FROM indoubt_branch"));
  for (const Row& branch : branches) {
    INDOUBT_RETURN_IF_ERROR(LockAgain(connection, branch, lines));
  }
  return Status::Ok();
}

/// Another configuration may guard other tables of this file: its triggers come back when
/// it next begins, and while anything is in doubt none goes.
Status DropLeftTriggers(Connection& connection, const DatabaseModel& model, Lines& lines) {
  const std::vector<SchemaObject> wanted = WantedSchema(model);
  INDOUBT_ASSIGN_OR_RETURN(
      const auto triggers,
      connection.Query("SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger' AND "
                       "name LIKE 'indoubt\\_guard\\_%' ESCAPE '\\'"));
  INDOUBT_ASSIGN_OR_RETURN(const auto branches,
                           connection.Query("SELECT count(*) FROM indoubt_branch"));
  for (const Row& trigger : triggers) {
    const std::string& name = std::get<std::string>(trigger[0]);
    const bool kept =
        std::any_of(wanted.begin(), wanted.end(),
                    [&](const SchemaObject& object) { return object.name == name; });
    if (kept) continue;
    const std::string what = fmt::format("trigger {} on {}, which is not managed", name,
                                         std::get<std::string>(trigger[1]));
    if (CountOf(branches) > 0) {
      lines.push_back(what + ", stays while branches are in doubt; repair again after them");
      continue;
    }
    INDOUBT_RETURN_IF_ERROR(connection.Run("DROP TRIGGER " + QuoteName(name)));
    lines.push_back(what + ", dropped");
  }
  return Status::Ok();
}

Status RepairInTransaction(Connection& connection, const std::vector<std::string>& tables,
                           Lines& lines) {
  auto model = LoadModel(connection, tables);
  if (!model.has_value() && model.error().code() == StatusCode::kRefused) {
    INDOUBT_RETURN_IF_ERROR(RequireKnownFile(connection, tables));
    model = LoadModel(connection, {});
  }
  INDOUBT_RETURN_IF_ERROR(model.status());
  Lines written;
  INDOUBT_RETURN_IF_ERROR(InstallSchema(connection, *model, &written));
  for (const std::string& name : written) lines.push_back(name + " installed anew");
  INDOUBT_RETURN_IF_ERROR(DropLocksWithoutBranch(connection, lines));
  INDOUBT_RETURN_IF_ERROR(LockBranchesAgain(connection, lines));
  return DropLeftTriggers(connection, *model, lines);
}

}  // namespace
}  // namespace sqlite

Result<std::vector<std::string>> RepairSqliteFile(const SqliteOptions& options,
                                                  TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection, sqlite::Connection::Open(options.path));
  connection->SetBusyDeadline(deadline);
  if (std::string problem = connection->ReadOnlyProblem(); !problem.empty()) {
    return Status(StatusCode::kUnavailable, std::move(problem));
  }
  INDOUBT_RETURN_IF_ERROR(connection->Run("PRAGMA synchronous=FULL"));
  std::vector<std::string> lines;
  const Status status = connection->InWriteTransaction(
      [&] { return sqlite::RepairInTransaction(*connection, options.tables, lines); });
  if (status.ok()) return lines;
  return status.code() == StatusCode::kLocked ? sqlite::FileUnavailable(status) : status;
}

}  // namespace indoubt
