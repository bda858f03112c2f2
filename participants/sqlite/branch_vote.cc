// The first phase of BranchStore: a branch's work, and its vote.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/random.h>

#include "participants/result_limit.h"
#include "participants/sqlite/branch_store.h"
#include "participants/sqlite/foreign_keys.h"

namespace indoubt::sqlite {
namespace {

const std::string kSavepoint = "SAVEPOINT indoubt";
const std::string kUndo = "ROLLBACK TO indoubt";
const std::string kRelease = "RELEASE indoubt";

Token RandomToken() {
  uint64_t bits = 0;
  const ssize_t got = getrandom(&bits, sizeof bits, 0);
  INDOUBT_CHECK(got == sizeof bits, "getrandom gives small requests whole");
  return fmt::format("{:016x}", bits);
}

/// What a trial must reproduce: which rows, and how they end. Old values count by the
/// key only: the hook of this SQLite shows NULL for a column added after the row.
std::vector<std::string> Outline(const DatabaseModel& model, const ChangeSet& changes) {
  std::vector<std::string> outline;
  for (const RowChange& change : changes) {
    RowChange shown{change.table, std::nullopt, change.after};
    if (change.before) {
      shown.before.emplace();
      for (int column : model.Find(change.table)->PrimaryKey()) {
        shown.before->push_back((*change.before)[static_cast<size_t>(column)]);
      }
    }
    outline.push_back(EncodeChanges({shown}));
  }
  std::sort(outline.begin(), outline.end());
  return outline;
}

Attempt Failed(Status status) {
  Attempt attempt;
  attempt.status = std::move(status);
  return attempt;
}

}  // namespace

void BranchStore::Undo() {
  // Fails only when SQLite has ended the transaction, which the caller looks for.
  if (InTransaction()) static_cast<void>(connection_->Run(kUndo));
}

int64_t BranchStore::BrokenForeignKeys() const {
  int broken = 0, unused = 0;
  sqlite3_db_status(connection_->handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &broken, &unused, 0);
  return broken;
}

/// Repeats the branch's earlier effect, runs the statements, and leaves all of it in
/// the file for the caller to keep or undo.
Attempt BranchStore::RunCaptured(BranchWork& work, const std::vector<Statement>& statements,
                                 ChangeSet& changes, std::vector<StatementResult>& results) {
  capture_.Start(model_);
  Status status = ApplyNeutrally(model_, work.changes);
  if (!status.ok()) {
    status = Status(status.code(),
                    "the branch's earlier work does not stand any more: " + status.message());
  }
  size_t room = kMaxResultBytes - work.result_bytes;
  for (size_t i = 0; i < statements.size() && status.ok(); ++i) {
    auto result = user_.Run(model_, statements[i], room);
    if (result.has_value()) {
      results.push_back(std::move(*result));
    } else {
      const size_t number = work.results.size() + results.size() + 1;
      status = result.error().WithContext(fmt::format("statement {}", number));
    }
  }
  const Status problem = capture_.problem();
  changes = capture_.Stop();
  if (status.ok()) status = problem;
  Attempt attempt = Failed(std::move(status));
  if (attempt.status.code() == StatusCode::kAborted && problem.ok() && InTransaction()) {
    // If a lock trigger ended it, the rows that it was about are among the changes.
    auto locks = LocksOf(*connection_, model_, changes);
    auto holder = locks.has_value() ? FindHolder(*connection_, *locks) : locks.error();
    if (holder.has_value()) attempt.holder = *holder;
  }
  return attempt;
}

Status BranchStore::ReadOldRows(ChangeSet& changes) {
  for (RowChange& change : changes) {
    if (!change.before) continue;
    const TableModel& table = *model_.Find(change.table);
    INDOUBT_ASSIGN_OR_RETURN(PreparedStatement select, connection_->Prepare(table.select_sql));
    for (int column : table.PrimaryKey()) {
      select.Bind(column + 1, (*change.before)[static_cast<size_t>(column)]);
    }
    const int code = sqlite3_step(select.get());
    if (code != SQLITE_ROW) {
      return Status(
          StatusCode::kAborted,
          fmt::format("a changed row of table {} cannot be found again by its primary "
                      "key",
                      table.name));
    }
    for (size_t i = 0; i < change.before->size(); ++i) {
      (*change.before)[i] = ReadColumn(select.get(), static_cast<int>(i));
    }
  }
  std::erase_if(changes, [](const RowChange& change) { return change.before == change.after; });
  return Status::Ok();
}

/// Ok: a call on a branch has its savepoint, and CloseCall must follow.
Status BranchStore::OpenCall() {
  INDOUBT_RETURN_IF_ERROR(model_problem_);
  return connection_->Run(kSavepoint);
}

void BranchStore::CloseCall(BranchWork& work, std::vector<StatementResult> results,
                            Attempt& attempt) {
  if (Status status = connection_->Run(kRelease); attempt.status.ok()) attempt.status = status;
  if (!attempt.status.ok()) return;
  for (const StatementResult& result : results) {
    for (const Value& row : result.values) work.result_bytes += SizeInMemory(row);
  }
  std::move(results.begin(), results.end(), std::back_inserter(work.results));
}

Attempt BranchStore::Work(BranchWork& work, const std::vector<Statement>& statements) {
  if (Status status = OpenCall(); !status.ok()) return Failed(status);
  ChangeSet changes;
  std::vector<StatementResult> results;
  Attempt attempt = RunCaptured(work, statements, changes, results);
  Undo();
  if (attempt.status.ok()) attempt.status = ReadOldRows(changes);
  CloseCall(work, std::move(results), attempt);
  if (attempt.status.ok()) work.changes = std::move(changes);
  return attempt;
}

/// Applies the stored bytes as commit will, compares the effect, and undoes it.
Status BranchStore::Trial(const std::string& stored) {
  INDOUBT_ASSIGN_OR_RETURN(const ChangeSet changes, DecodeChanges(stored));
  capture_.Start(model_);
  Status status = ApplyNeutrally(model_, changes);
  if (status.ok()) status = capture_.problem();
  const ChangeSet effect = capture_.Stop();
  Undo();
  if (!status.ok()) return status.WithContext("the work cannot be repeated at commit");
  if (Outline(model_, effect) != Outline(model_, changes)) {
    return Status(
        StatusCode::kAborted,
        "applying the captured changes gives another result than the work; use simpler "
        "statements or triggers");
  }
  return Status::Ok();
}

Attempt BranchStore::StoreBranch(const BranchWork& work, const std::string& stored,
                                 const ChangeSet& changes) {
  static const std::string kInsert =
      "INSERT INTO indoubt_branch(gid, participant, token, prepared_ns, fingerprint, changes, "
      "redo)"
      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
  auto locks = LocksOf(*connection_, model_, changes);
  if (!locks.has_value()) return Failed(locks.error());
  auto holder = FindHolder(*connection_, *locks);
  if (!holder.has_value()) return Failed(holder.error());
  if (!holder->empty()) {
    Attempt attempt = Failed(Status(StatusCode::kAborted, "a row is locked"));
    attempt.holder = *holder;
    return attempt;
  }
  Attempt attempt;
  attempt.wrote = true;
  attempt.token = RandomToken();
  const std::array<SqlValue, 7> row = {work.gid,
                                       work.participant,
                                       attempt.token,
                                       MonotonicNanos(),
                                       FingerprintOf(model_, changes),
                                       Blob{stored},
                                       RedoSql(model_, changes)};
  attempt.status = connection_->Run(kInsert, row);
  if (attempt.status.ok()) attempt.status = StoreLocks(*connection_, *locks, row[0], row[1]);
  return attempt;
}

/// All work of a branch, and what is checked once it is complete.
Attempt BranchStore::RunToTheVote(BranchWork& work, const std::vector<Statement>& last,
                                  ChangeSet& changes, std::vector<StatementResult>& results) {
  Attempt attempt = RunCaptured(work, last, changes, results);
  if (attempt.status.ok() && BrokenForeignKeys() > 0) {
    attempt.status = Status(StatusCode::kAborted, "a deferred foreign key is violated");
  }
  // SQLite looks at the keys of the last statements only. Earlier work was repeated with
  // foreign keys off, it may have left deferred ones open, and since then somebody may have
  // taken the parent away or added a child. There is earlier work only for who calls
  // Branch::Work itself, and at an armed fail point, so nobody else pays for the look-ups.
  if (attempt.status.ok() && !work.changes.empty()) {
    attempt.status = CheckForeignKeys(*connection_, model_, changes);
  }
  return attempt;
}

Attempt BranchStore::Prepare(BranchWork& work, const std::vector<Statement>& last) {
  if (Status status = OpenCall(); !status.ok()) return Failed(status);
  ChangeSet changes;
  std::vector<StatementResult> results;
  Attempt attempt = RunToTheVote(work, last, changes, results);
  Undo();
  if (attempt.status.ok()) attempt.status = ReadOldRows(changes);
  if (attempt.status.ok() && changes.empty()) {
    attempt.read_only = true;
  } else if (attempt.status.ok()) {
    const std::string stored = EncodeChanges(changes);
    attempt.status = Trial(stored);
    if (attempt.status.ok()) attempt = StoreBranch(work, stored, changes);
  }
  if (!attempt.status.ok()) Undo();
  CloseCall(work, std::move(results), attempt);
  return attempt;
}

Attempt BranchStore::CommitOnePhase(BranchWork& work, const std::vector<Statement>& last) {
  if (Status status = OpenCall(); !status.ok()) return Failed(status);
  ChangeSet changes;
  std::vector<StatementResult> results;
  Attempt attempt = RunToTheVote(work, last, changes, results);
  if (attempt.status.ok()) {
    // The triggers have not seen rows that a REPLACE deleted.
    auto locks = LocksOf(*connection_, model_, changes);
    auto holder = locks.has_value() ? FindHolder(*connection_, *locks) : locks.error();
    attempt.status = holder.status();
    if (holder.has_value() && !holder->empty()) {
      attempt.status = Status(StatusCode::kAborted, "a row is locked");
      attempt.holder = *holder;
    }
  }
  if (!attempt.status.ok()) Undo();
  CloseCall(work, std::move(results), attempt);
  attempt.wrote = attempt.status.ok() && !changes.empty();
  return attempt;
}

}  // namespace indoubt::sqlite
