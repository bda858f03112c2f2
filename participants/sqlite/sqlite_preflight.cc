#include "participants/sqlite/sqlite_preflight.h"

#include <array>
#include <utility>

#include <fmt/format.h>
#include <sys/vfs.h>

#include "participants/sqlite/branch_store.h"
#include "participants/sqlite/guard_triggers.h"

namespace indoubt::sqlite {
namespace {

constexpr long kTmpfs = 0x01021994, kNfs = 0x6969, kCifs = 0xff534d42, kSmb2 = 0xfe534d42;
constexpr int kOldestVersion = 3037000;

void CheckFileSystem(const std::string& path, PreflightReport& report) {
  struct statfs info {};
  if (statfs(path.c_str(), &info) != 0) return;
  const long kind = static_cast<long>(info.f_type) & 0xffffffffL;
  if (kind == kTmpfs) {
    report.warnings.push_back(fmt::format(
        "{} lies on tmpfs and does not survive a power cut; move it to a disk", path));
  }
  if (kind == kNfs || kind == kCifs || kind == kSmb2) {
    report.problems.push_back(
        fmt::format("{} lies on a network file system, where SQLite's WAL does not work; move "
                    "it to a local "
                    "disk",
                    path));
  }
}

void CheckLibrary(PreflightReport& report) {
  if (sqlite3_libversion_number() < kOldestVersion) {
    report.problems.push_back(
        fmt::format("SQLite {} is too old; 3.37 or newer is needed", sqlite3_libversion()));
  }
  if (sqlite3_compileoption_used("ENABLE_PREUPDATE_HOOK") == 0) {
    report.problems.push_back(
        "this SQLite was built without SQLITE_ENABLE_PREUPDATE_HOOK; use "
        "Debian's library");
  }
}

}  // namespace

Result<PreflightReport> CheckFile(const SqliteOptions& options, TimePoint deadline) {
  PreflightReport report;
  report.version = fmt::format("SQLite {}", sqlite3_libversion());
  CheckLibrary(report);
  INDOUBT_ASSIGN_OR_RETURN(auto connection, Connection::Open(options.path));
  connection->SetBusyDeadline(deadline);
  CheckFileSystem(options.path, report);
  if (std::string problem = connection->ReadOnlyProblem(); !problem.empty()) {
    report.problems.push_back(std::move(problem));
    return report;
  }
  auto mode = connection->Query("PRAGMA journal_mode=WAL");
  if (!mode.has_value()) return FileUnavailable(mode.error());
  if (mode->empty() || (*mode)[0][0] != SqlValue(std::string("wal"))) {
    report.problems.push_back(
        fmt::format("{} cannot use WAL; put the file on a local disk", options.path));
  }
  auto model = LoadAndInstall(*connection, options.tables);
  if (!model.has_value() && model.error().code() != StatusCode::kRefused) {
    return FileUnavailable(model.error());
  }
  if (!model.has_value()) {
    report.problems.push_back(model.error().message());
  } else if (model->needs_neutral_apply) {
    report.notes.push_back(
        "there are triggers or foreign keys on the managed tables: their effects are captured "
        "with the work, and prepare and commit are slower for it");
  }
  return report;
}

Result<std::vector<PreparedBranch>> ListBranches(const SqliteOptions& options,
                                                 TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection, Connection::Open(options.path));
  connection->SetBusyDeadline(deadline);
  std::vector<PreparedBranch> branches;
  INDOUBT_ASSIGN_OR_RETURN(
      auto table,
      connection->Query("SELECT 1 FROM sqlite_master WHERE name = 'indoubt_branch'"));
  if (table.empty()) {
    INDOUBT_RETURN_IF_ERROR(RequireKnownFile(*connection, options.tables));
    return branches;
  }
  INDOUBT_ASSIGN_OR_RETURN(
      auto rows, connection->Query("SELECT gid, participant, token FROM indoubt_branch"));
  for (const Row& row : rows) {
    INDOUBT_ASSIGN_OR_RETURN(Gid gid, Gid::Parse(std::get<std::string>(row[0])));
    branches.push_back(
        {{std::move(gid), std::get<std::string>(row[1])}, std::get<std::string>(row[2])});
  }
  return branches;
}

Result<std::vector<Gid>> ListOutcomes(const SqliteOptions& options, std::string_view node,
                                      size_t most, TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection, Connection::Open(options.path));
  connection->SetBusyDeadline(deadline);
  std::vector<Gid> gids;
  INDOUBT_ASSIGN_OR_RETURN(
      const auto table,
      connection->Query("SELECT 1 FROM sqlite_master WHERE name = 'indoubt_outcome'"));
  if (table.empty()) return gids;
  // A node's name has none of GLOB's characters.
  const std::array<SqlValue, 3> which = {fmt::format("{}.*", node), options.name,
                                         static_cast<int64_t>(most)};
  INDOUBT_ASSIGN_OR_RETURN(
      const auto rows, connection->Query("SELECT gid FROM indoubt_outcome WHERE gid GLOB ?1 "
                                         "AND participant = ?2 LIMIT ?3",
                                         which));
  for (const Row& row : rows) {
    INDOUBT_ASSIGN_OR_RETURN(const Gid gid, Gid::Parse(std::get<std::string>(row[0])));
    gids.push_back(gid);
  }
  return gids;
}

}  // namespace indoubt::sqlite
