// A call of the participant's on its way to the writer, and its answer back.
#pragma once

#include <memory>
#include <vector>

#include "participants/sqlite/branch_store.h"

namespace indoubt::sqlite {

enum class JobKind { kWork, kPrepare, kOnePhase, kCommit, kRollback, kForget };

/// One call of the participant's. Exactly the callback of its kind is set.
struct Job {
  JobKind kind = JobKind::kWork;
  Gid gid;
  TimePoint deadline;
  std::shared_ptr<BranchWork> work;  // shared with the Branch object, which may go first
  std::vector<Statement> statements;
  Token token;
  WorkCallback on_work;
  PrepareCallback on_prepare;
  OnePhaseCallback on_one_phase;
  AckCallback on_ack;

  // What `work` was before this call, should SQLite undo the call with its transaction.
  size_t results_before = 0, result_bytes_before = 0;
  ChangeSet changes_before;  // kWork only: no other call changes them

  // How it went, to be told once the transaction is durable.
  Attempt attempt;
  Ack ack;
};

/// Of a decision, which runs to its end: not of what a user wrote.
bool IsSecondPhase(const Job& job);

/// Keeps what `work` is before the call, so that UndoInMemory can bring it back.
void RememberWork(Job& job);
void UndoInMemory(Job& job);

/// Tells how a job went.
void Answer(Job& job);
/// Tells that a job was not done; `unknown` when it may have become durable after all.
void AnswerFailure(Job& job, const Status& status, bool unknown);

}  // namespace indoubt::sqlite
