#include "coordinator/executor.h"

namespace indoubt {

const char* ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kRolledBack:
      return "rolled_back";
    case Outcome::kInDoubt:
      return "in_doubt";
    case Outcome::kHeuristic:
      return "heuristic";
  }
  return "?";
}

const char* ToString(AckState ack) {
  switch (ack) {
    case AckState::kNone:
      return "none";
    case AckState::kCommitted:
      return "committed";
    case AckState::kRolledBack:
      return "rolled_back";
    case AckState::kUnknown:
      return "unknown";
    case AckState::kHeuristic:
      return "heuristic";
  }
  return "?";
}

const char* ToString(VoteKind vote) {
  switch (vote) {
    case VoteKind::kYes:
      return "yes";
    case VoteKind::kReadOnly:
      return "read_only";
    case VoteKind::kNo:
      return "no";
    case VoteKind::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace indoubt
