#include "participants/sqlite/branch_store.h"

#include <fmt/format.h>

#include "participants/sqlite/guard_triggers.h"

namespace indoubt::sqlite {
bool IsConflictWithFile(const Status& status) {
  return status.code() == StatusCode::kAborted || status.code() == StatusCode::kRefused;
}

BranchStore::BranchStore(std::unique_ptr<Connection> connection,
                         std::vector<std::string> managed)
    : connection_(std::move(connection)),
      managed_(std::move(managed)),
      capture_(*connection_),
      user_(*connection_) {}

Result<std::unique_ptr<BranchStore>> BranchStore::Open(const std::string& path,
                                                       const std::vector<std::string>& managed,
                                                       TimePoint deadline) {
  INDOUBT_ASSIGN_OR_RETURN(auto connection, Connection::Open(path));
  connection->SetBusyDeadline(deadline);
  if (std::string problem = connection->ReadOnlyProblem(); !problem.empty()) {
    return Status(StatusCode::kUnavailable, std::move(problem));
  }
  INDOUBT_ASSIGN_OR_RETURN(auto mode, connection->Query("PRAGMA journal_mode=WAL"));
  if (mode.empty() || mode[0][0] != SqlValue(std::string("wal"))) {
    return Status(StatusCode::kRefused,
                  fmt::format("SQLite file {} cannot use WAL; put it on a local disk", path));
  }
  for (const char* pragma :
       {"PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON", "PRAGMA temp_store=MEMORY"}) {
    INDOUBT_RETURN_IF_ERROR(connection->Run(pragma));
  }
  std::unique_ptr<BranchStore> store(new BranchStore(std::move(connection), managed));
  INDOUBT_RETURN_IF_ERROR(store->Reload());
  return store;
}

Status BranchStore::Reload() {
  auto model = LoadAndInstall(*connection_, managed_);
  model_problem_ = model.status();
  if (model.has_value()) {
    model_ = std::move(*model);
    return Status::Ok();
  }
  if (model.error().code() != StatusCode::kRefused) return model.error();
  INDOUBT_RETURN_IF_ERROR(RequireKnownFile(*connection_, managed_));
  // Work is refused, yet branches that are in doubt can still be told their decision.
  INDOUBT_ASSIGN_OR_RETURN(model_, LoadAndInstall(*connection_, {}));
  return Status::Ok();
}

Status BranchStore::Begin(TimePoint deadline) {
  static const std::string kVersion = "PRAGMA schema_version";
  connection_->SetBusyDeadline(deadline);
  for (int attempt = 0; attempt < 3; ++attempt) {
    INDOUBT_RETURN_IF_ERROR(connection_->Run("BEGIN IMMEDIATE"));
    auto version = connection_->Query(kVersion);
    if (version.has_value() && std::get<int64_t>((*version)[0][0]) == model_.schema_version) {
      return Status::Ok();
    }
    Rollback();
    INDOUBT_RETURN_IF_ERROR(version.status());
    INDOUBT_RETURN_IF_ERROR(Reload());
  }
  return Status(StatusCode::kLocked, fmt::format("the schema of SQLite file {} keeps changing",
                                                 connection_->path()));
}

Status BranchStore::Commit() { return connection_->Run("COMMIT"); }

void BranchStore::Rollback() {
  // When SQLite has already ended the transaction there is nothing left to undo.
  if (InTransaction()) static_cast<void>(connection_->Run("ROLLBACK"));
}

Status BranchStore::ApplyNeutrally(const DatabaseModel& model, const ChangeSet& changes) {
  if (!model.needs_neutral_apply) return ApplyChanges(*connection_, model, changes);
  // What triggers and cascades did is in the changes. Switching compiles statements
  // anew, so it is done only where there are any.
  const auto set = [&](int on) {
    sqlite3_db_config(connection_->handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, on, nullptr);
    sqlite3_db_config(connection_->handle(), SQLITE_DBCONFIG_ENABLE_FKEY, on, nullptr);
  };
  set(0);
  Status status = ApplyChanges(*connection_, model, changes);
  set(1);
  return status;
}

}  // namespace indoubt::sqlite
