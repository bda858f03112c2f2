#include "cli/audit.h"

namespace indoubt::cli {
namespace {

bool Agrees(StreamOutcome::Kind stream, DecisionOutcome decided) {
  return (stream == StreamOutcome::Kind::kCommitted) ==
         (decided == DecisionOutcome::kCommitted);
}

}  // namespace

Audit CompareWithStream(const std::vector<StreamOutcome>& stream,
                        const std::function<KnownDecision(const Gid&)>& decision) {
  Audit audit;
  for (const StreamOutcome& entry : stream) {
    const auto branch = BranchId::Parse(entry.gid);
    if (!branch) {
      ++audit.foreign;
      continue;
    }
    AuditedBranch audited{entry.gid, branch->gid.ToString(), entry.kind, entry.lsn,
                          decision(branch->gid)};
    if (entry.kind == StreamOutcome::Kind::kPrepared) {
      audit.undecided.push_back(std::move(audited));
    } else if (audited.decided.outcome == DecisionOutcome::kUnknown) {
      audit.not_judged.push_back(std::move(audited));
    } else if (Agrees(entry.kind, audited.decided.outcome)) {
      ++audit.agreed;
    } else {
      audit.disagreements.push_back(std::move(audited));
    }
  }
  return audit;
}

}  // namespace indoubt::cli
