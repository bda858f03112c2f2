#include "tests/simulation/nature.h"

namespace indoubt::simulation {

const char* ToString(MessageKind kind) {
  switch (kind) {
    case MessageKind::kPrepare:
      return "prepare";
    case MessageKind::kOnePhase:
      return "one-phase commit";
    case MessageKind::kCommit:
      return "commit";
    case MessageKind::kRollback:
      return "rollback";
    case MessageKind::kList:
      return "list";
    case MessageKind::kListOutcomes:
      return "list outcomes";
    case MessageKind::kPreflight:
      return "preflight";
    case MessageKind::kForget:
      return "forget";
    case MessageKind::kDecide:
      return "commit with the decision";
    case MessageKind::kAsk:
      return "question";
    case MessageKind::kListRows:
      return "list of decisions";
    case MessageKind::kForgetRows:
      return "forget decisions";
    case MessageKind::kClose:
      return "floor";
  }
  return "?";
}

const char* ToString(DiskStep step) {
  switch (step) {
    case DiskStep::kWrite:
      return "write";
    case DiskStep::kSync:
      return "sync";
    case DiskStep::kCreate:
      return "create";
    case DiskStep::kRename:
      return "rename";
    case DiskStep::kRemove:
      return "remove";
    case DiskStep::kSyncDirectory:
      return "sync of the folder";
  }
  return "?";
}

}  // namespace indoubt::simulation
