// What happens to branches inside one SQLite transaction: work, prepare, commit, roll
// back. One connection, one thread; write_queue.h gathers calls into transactions.
//
// After every call on a branch the file shows either all of the call's effect or none
// of it: each runs in a savepoint.
#pragma once

#include "base/gid.h"
#include "participants/sqlite/change_capture.h"
#include "participants/sqlite/row_locks.h"
#include "participants/sqlite/user_statements.h"

namespace indoubt::sqlite {

/// A branch before its vote: it lives in memory only, and holds no lock.
struct BranchWork {
  std::string gid, participant;
  ChangeSet changes;  // the net effect of all work so far, undone in the file
  std::vector<StatementResult> results;
  size_t result_bytes = 0;  // of those, as SizeInMemory counts
  Status failure;           // of an earlier Work: the branch can only vote no
};

/// How a call on a branch ended. `holder` is the gid whose lock was in the way.
struct Attempt {
  Status status;
  std::string holder;
  bool wrote = false;  // something must be committed
  bool read_only = false;
  Token token;
};

class BranchStore {
 public:
  /// Opens the file, WAL and synchronous=FULL; installs tables and triggers.
  static Result<std::unique_ptr<BranchStore>> Open(const std::string& path,
                                                   const std::vector<std::string>& managed,
                                                   TimePoint deadline);

  /// Opens a write transaction; kLocked when another process holds the file until
  /// `deadline`. Reads the schema anew when it has changed.
  Status Begin(TimePoint deadline);
  Status Commit();
  void Rollback();
  /// SQLite ends a transaction by itself on some errors (disk full, I/O).
  bool InTransaction() const { return connection_->InTransaction(); }
  /// Statements end early once `give_up` says so; none: they run to their end.
  void SetInterrupt(std::function<bool()> give_up) {
    connection_->SetInterrupt(std::move(give_up));
  }
  /// The disk was full, so that nothing of a failed commit can have survived.
  bool DiskWasFull() const { return connection_->last_code() == SQLITE_FULL; }

  std::string LastFailure() const { return sqlite3_errstr(connection_->last_code()); }

  Attempt Work(BranchWork& work, const std::vector<Statement>& statements);
  Attempt Prepare(BranchWork& work, const std::vector<Statement>& last);
  Attempt CommitOnePhase(BranchWork& work, const std::vector<Statement>& last);
  Ack CommitBranch(const std::string& gid, const std::string& participant, const Token& token);
  Ack RollbackBranch(const std::string& gid, const std::string& participant,
                     const Token& token);
  Status Forget(const std::string& gid, const std::string& participant);

 private:
  BranchStore(std::unique_ptr<Connection> connection, std::vector<std::string> managed);

  Status Reload();
  Status ApplyNeutrally(const DatabaseModel& model, const ChangeSet& changes);
  Status OpenCall();
  void CloseCall(BranchWork& work, std::vector<StatementResult> results, Attempt& attempt);
  Attempt RunToTheVote(BranchWork& work, const std::vector<Statement>& last, ChangeSet& changes,
                       std::vector<StatementResult>& results);
  Attempt RunCaptured(BranchWork& work, const std::vector<Statement>& statements,
                      ChangeSet& changes, std::vector<StatementResult>& results);
  Status ReadOldRows(ChangeSet& changes);
  Status Trial(const std::string& stored);
  Attempt StoreBranch(const BranchWork& work, const std::string& stored,
                      const ChangeSet& changes);
  Ack OutcomeOf(const std::string& gid, const std::string& participant);
  Status CarryOut(const ChangeSet& changes, const std::string& fingerprint);
  Status Finish(const std::string& gid, const std::string& participant, const char* outcome,
                const SqlValue& reason, const SqlValue& redo);
  Status DeleteBranch(const std::string& gid, const std::string& participant);
  void Undo();
  int64_t BrokenForeignKeys() const;

  std::unique_ptr<Connection> connection_;
  std::vector<std::string> managed_;
  DatabaseModel model_;
  Status model_problem_;  // why work is refused: the tables are not as they must be
  ChangeCapture capture_;
  UserStatements user_;
};

/// Whether `status` says that this branch cannot be applied, ever.
bool IsConflictWithFile(const Status& status);

}  // namespace indoubt::sqlite
