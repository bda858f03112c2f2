// What the state machine (transaction.h) asks of the world. Participants are
// named by their position in the transaction.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/executor.h"
#include "recovery/decision_log.h"

namespace indoubt {

/// Run the participant's statements and prepare; answer with Voted.
struct AskPrepare {
  size_t participant = 0;
};

/// Run the statements and commit at once; answer with OnePhaseEnded.
struct AskOnePhase {
  size_t participant = 0;
};

/// Have the last resource run its statements and commit them together with the decision
/// row, which names `branches`, who voted yes; answer with LastResourceEnded.
struct AskLastResource {
  size_t participant = 0;
  std::vector<BranchRecord> branches;
};

/// Have an abort row contend with what the last resource may still commit, there where the
/// gid's decision lives; answer with Decided. `attempt` counts from 0; later ones wait for
/// a back-off first.
struct AskDecision {
  int attempt = 0;
};

/// Take the decision through the log's one door; answer with Decided.
struct Propose {
  DecisionOutcome outcome = DecisionOutcome::kAborted;
  std::vector<BranchRecord> branches;  // of a commit
};

/// Tell the decision; answer with Acknowledged. `attempt` counts from 0; later
/// ones wait for a back-off first.
struct TellCommit {
  size_t participant = 0;
  int attempt = 0;
};
struct TellRollback {
  size_t participant = 0;
  int attempt = 0;
};

/// Make it durable that the branch was resolved against the decision; answer with
/// HeuristicStored.
struct StoreHeuristic {
  size_t participant = 0;
  DecisionOutcome decision = DecisionOutcome::kUnknown;
  std::string reason;
};

/// Every participant has applied the commit: write the end record, answer with
/// EndWritten.
struct WriteEnd {};

/// Tell the caller. At most once in a transaction's life.
struct Answer {
  Outcome outcome = Outcome::kInDoubt;
  StatusCode code = StatusCode::kOk;
  std::string reason;
};

/// The transaction is over: nothing more will be asked.
struct Release {};

using Action =
    std::variant<AskPrepare, AskOnePhase, AskLastResource, AskDecision, Propose, TellCommit,
                 TellRollback, StoreHeuristic, WriteEnd, Answer, Release>;

}  // namespace indoubt
