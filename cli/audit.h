// What PostgreSQL's own stream says of two-phase transactions, held against what the
// coordinator decided. Pure: no I/O.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/gid.h"
#include "cdc/event_log.h"
#include "participants/decision.h"

namespace indoubt::cli {

/// The decision that stands for a gid, where it lives.
struct KnownDecision {
  /// kAborted is presumed where there is no decision; kUnknown: nobody here can say.
  DecisionOutcome outcome = DecisionOutcome::kUnknown;
  std::string note;  // with kUnknown why; else what a person should know; may be empty
};

struct AuditedBranch {
  std::string branch;  // as PREPARE TRANSACTION had it
  std::string gid;
  StreamOutcome::Kind stream = StreamOutcome::Kind::kPrepared;
  Lsn lsn;  // where the stream says so
  KnownDecision decided;
};

struct Audit {
  uint64_t agreed = 0;
  std::vector<AuditedBranch> disagreements;
  std::vector<AuditedBranch> undecided;   // prepared, and not ended in the stream
  std::vector<AuditedBranch> not_judged;  // nobody here knows the decision
  uint64_t foreign = 0;                   // of other programs
};

/// Judges every entry of the stream; `decision` is asked for gids of this program.
Audit CompareWithStream(const std::vector<StreamOutcome>& stream,
                        const std::function<KnownDecision(const Gid&)>& decision);

}  // namespace indoubt::cli
