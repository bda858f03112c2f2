// The second phase of BranchStore: what a decision does to a prepared branch.
#include <array>

#include <fmt/format.h>

#include "participants/sqlite/branch_store.h"

namespace indoubt::sqlite {
namespace {

const std::string kSavepoint = "SAVEPOINT decision";
const std::string kUndo = "ROLLBACK TO decision";
const std::string kRelease = "RELEASE decision";

Ack Done() { return {AckKind::kDone, ""}; }
Ack Retry(const Status& status) { return {AckKind::kRetry, status.message()}; }
Ack Heuristic(std::string reason) { return {AckKind::kHeuristic, std::move(reason)}; }

std::string TextOf(const SqlValue& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : std::string();
}

}  // namespace

/// The answer for a branch that is not there: what its outcome record says.
Ack BranchStore::OutcomeOf(const std::string& gid, const std::string& participant) {
  static const std::string kSql =
      "SELECT outcome, reason FROM indoubt_outcome WHERE gid = ?1 AND participant = ?2";
  const std::array<SqlValue, 2> key = {gid, participant};
  auto rows = connection_->Query(kSql, key);
  if (!rows.has_value()) return Retry(rows.error());
  if (rows->empty()) {
    return Heuristic(
        fmt::format("the prepared branch is not in {} any more and there is no record "
                    "of its commit: somebody rolled it back, or the file was replaced",
                    connection_->path()));
  }
  const std::string outcome = TextOf((*rows)[0][0]);
  return outcome == "committed" ? Done() : Heuristic(TextOf((*rows)[0][1]));
}

Status BranchStore::DeleteBranch(const std::string& gid, const std::string& participant) {
  static const std::string kLocks =
      "DELETE FROM indoubt_lock WHERE gid = ?1 AND participant = ?2";
  static const std::string kBranch =
      "DELETE FROM indoubt_branch WHERE gid = ?1 AND participant = ?2";
  const std::array<SqlValue, 2> key = {gid, participant};
  INDOUBT_RETURN_IF_ERROR(connection_->Run(kLocks, key));
  return connection_->Run(kBranch, key);
}

/// Drops the branch and its locks, and records how it ended.
Status BranchStore::Finish(const std::string& gid, const std::string& participant,
                           const char* outcome, const SqlValue& reason, const SqlValue& redo) {
  static const std::string kOutcome =
      "INSERT OR REPLACE INTO indoubt_outcome(gid, participant, outcome, reason, redo) "
      "VALUES(?1, ?2, ?3, ?4, ?5)";
  INDOUBT_RETURN_IF_ERROR(DeleteBranch(gid, participant));
  const std::array<SqlValue, 5> row = {gid, participant, std::string(outcome), reason, redo};
  return connection_->Run(kOutcome, row);
}

/// Applies a branch whose locks are dropped. kAborted or kRefused: it never will.
Status BranchStore::CarryOut(const ChangeSet& changes, const std::string& fingerprint) {
  if (model_problem_.ok() && FingerprintOf(model_, changes) == fingerprint) {
    return ApplyNeutrally(model_, changes);
  }
  // The configuration or the schema has changed; what counts is the branch's tables.
  std::vector<std::string> tables;
  for (const RowChange& change : changes) tables.push_back(change.table);
  INDOUBT_ASSIGN_OR_RETURN(const DatabaseModel model, LoadModel(*connection_, tables));
  if (FingerprintOf(model, changes) != fingerprint) {
    return Status(StatusCode::kAborted, "the schema has changed since the prepare");
  }
  return ApplyNeutrally(model, changes);
}

Ack BranchStore::CommitBranch(const std::string& gid, const std::string& participant,
                              const Token& token) {
  static const std::string kSelect =
      "SELECT token, fingerprint, changes, redo FROM indoubt_branch "
      "WHERE gid = ?1 AND participant = ?2";
  const std::array<SqlValue, 2> key = {gid, participant};
  auto rows = connection_->Query(kSelect, key);
  if (!rows.has_value()) return Retry(rows.error());
  if (rows->empty()) return OutcomeOf(gid, participant);
  const Row& branch = (*rows)[0];
  if (TextOf(branch[0]) != token) {
    return Heuristic(
        fmt::format("the branch prepared in {} is not the one that voted yes (its "
                    "token differs); it was left as it is",
                    connection_->path()));
  }
  if (Status status = connection_->Run(kSavepoint); !status.ok()) return Retry(status);
  // Locks and branch first: our own triggers must not stand in the way.
  Status status = Finish(gid, participant, "committed", SqlValue(), SqlValue());
  const auto* bytes = std::get_if<Blob>(&branch[2]);
  auto changes = DecodeChanges(bytes ? bytes->bytes : std::string());
  bool never = !changes.has_value();
  if (never && status.ok()) status = changes.error();
  if (status.ok()) {
    status = CarryOut(*changes, TextOf(branch[1]));
    never = IsConflictWithFile(status);
  }
  std::string reason;
  if (!status.ok() && InTransaction()) {
    const Status undone = connection_->Run(kUndo);
    if (never && undone.ok()) {
      // Kept for a person, with the SQL that could not be applied; the locks go.
      reason = "the prepared branch cannot be applied: " + status.message();
      status = Finish(gid, participant, "heuristic", reason, branch[3]);
    }
  }
  if (InTransaction()) {
    const Status released = connection_->Run(kRelease);
    if (status.ok()) status = released;
  }
  if (!status.ok()) return Retry(status);
  return reason.empty() ? Done() : Heuristic(reason);
}

Ack BranchStore::RollbackBranch(const std::string& gid, const std::string& participant,
                                const Token& token) {
  static const std::string kToken =
      "SELECT token FROM indoubt_branch WHERE gid = ?1 AND participant = ?2";
  const std::array<SqlValue, 2> key = {gid, participant};
  auto rows = connection_->Query(kToken, key);
  if (!rows.has_value()) return Retry(rows.error());
  if (rows->empty()) {
    static const std::string kOutcome =
        "SELECT outcome FROM indoubt_outcome WHERE gid = ?1 AND participant = ?2";
    auto outcome = connection_->Query(kOutcome, key);
    if (!outcome.has_value()) return Retry(outcome.error());
    const bool committed = !outcome->empty() && TextOf((*outcome)[0][0]) == "committed";
    return committed ? Heuristic("the branch was committed already") : Done();
  }
  if (!token.empty() && TextOf((*rows)[0][0]) != token) {
    return Heuristic(
        "the branch prepared there is not the one that voted yes (its token "
        "differs); it was left as it is");
  }
  if (Status status = connection_->Run(kSavepoint); !status.ok()) return Retry(status);
  Status status = DeleteBranch(gid, participant);
  if (!status.ok() && InTransaction()) {
    const Status undone = connection_->Run(kUndo);
    if (!undone.ok()) status = undone;
  }
  if (InTransaction()) {
    const Status released = connection_->Run(kRelease);
    if (status.ok()) status = released;
  }
  return status.ok() ? Done() : Retry(status);
}

Status BranchStore::Forget(const std::string& gid, const std::string& participant) {
  static const std::string kSql =
      "DELETE FROM indoubt_outcome WHERE gid = ?1 AND participant = ?2";
  const std::array<SqlValue, 2> key = {gid, participant};
  return connection_->Run(kSql, key);
}

}  // namespace indoubt::sqlite
