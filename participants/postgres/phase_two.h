// The second phase: COMMIT PREPARED and ROLLBACK PREPARED, and what to make of a
// branch that is not there.
#pragma once

#include <memory>
#include <string>

#include "participants/postgres/core.h"

namespace indoubt::pg {

/// What a prepared branch is told. (The decision itself, with all its branches, is
/// indoubt::Decision.)
enum class SecondPhase { kCommit, kRollback };

/// What pg_xact_status says of a token (a transaction's xid8).
enum class Fate {
  kCommitted,
  kAborted,
  kInProgress,
  kTooOld,    // NULL: the server no longer knows
  kInFuture,  // the server never got that far: its data are older than the vote
  kNoAnswer,  // the question itself failed
};

/// The query that FateFrom reads.
Command AskFate(const Token& token);
Fate FateFrom(const ScriptReply& reply);

/// The ack for a decision about a branch that the server does not have.
Ack AckWithoutBranch(SecondPhase decision, const Token& token, Fate fate);

/// Tells `branch` the decision, once. The pool's thread only.
void Decide(const std::shared_ptr<Core>& core, SecondPhase decision, const std::string& branch,
            const Token& token, TimePoint deadline, AckCallback done);

}  // namespace indoubt::pg
