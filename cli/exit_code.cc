#include "cli/exit_code.h"

namespace indoubt::cli {

ExitCode ExitCodeFor(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
      return kDone;
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
      return kUsage;
    case StatusCode::kUnavailable:
    case StatusCode::kRefused:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kLocked:
    case StatusCode::kCorrupt:
    case StatusCode::kIoError:
      return kEnvironment;
    case StatusCode::kAborted:
      return kRolledBack;
    case StatusCode::kInternal:
      return kInternalError;
  }
  return kInternalError;
}

ExitCode ExitCodeFor(const TransactionOutcome& outcome) {
  switch (outcome.outcome) {
    case Outcome::kCommitted:
      return kDone;
    case Outcome::kInDoubt:
      return kInDoubt;
    case Outcome::kHeuristic:
      return kHeuristic;
    case Outcome::kRolledBack:
      break;
  }
  // Once a participant was asked to prepare it is no longer a matter of being reachable.
  for (const ParticipantOutcome& participant : outcome.participants) {
    if (participant.vote && *participant.vote != VoteKind::kNo) return kRolledBack;
  }
  switch (outcome.code) {
    case StatusCode::kUnavailable:
    case StatusCode::kRefused:
      return kEnvironment;
    case StatusCode::kInvalidArgument:
      return kUsage;
    case StatusCode::kOk:
    case StatusCode::kNotFound:
    case StatusCode::kUnsupported:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kLocked:
    case StatusCode::kCorrupt:
    case StatusCode::kIoError:
    case StatusCode::kAborted:
    case StatusCode::kInternal:
      break;  // the transaction's own
  }
  return kRolledBack;
}

}  // namespace indoubt::cli
