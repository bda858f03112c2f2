#include "recovery/orphans.h"

#include <map>

namespace indoubt {
namespace {

using Transactions = std::map<Gid, Decision>;

void Add(Transactions& transactions, const PreparedBranch& branch) {
  Decision& decision = transactions[branch.id.gid];
  decision.gid = branch.id.gid;
  decision.branches.push_back({branch.id.participant, branch.token});
}

std::vector<Decision> InOrder(Transactions&& transactions) {
  std::vector<Decision> ordered;
  ordered.reserve(transactions.size());
  for (auto& [gid, decision] : transactions) ordered.push_back(std::move(decision));
  return ordered;
}

/// What both listings hold, as the second one has it, each branch once.
std::set<PreparedBranch> ListedTwice(const OrphanInput& input) {
  std::set<BranchId> first;
  for (const PreparedBranch& branch : input.first) first.insert(branch.id);
  std::set<PreparedBranch> twice;
  std::set<BranchId> taken;
  for (const PreparedBranch& branch : input.second) {
    if (first.contains(branch.id) && taken.insert(branch.id).second) twice.insert(branch);
  }
  return twice;
}

}  // namespace

std::string FirstUnconfigured(const Decision& decision,
                              const std::set<std::string>& participants) {
  for (const BranchRecord& branch : decision.branches) {
    if (!participants.contains(branch.participant)) return branch.participant;
  }
  return {};
}

OrphanSelection SelectOrphans(const OrphanInput& input) {
  OrphanSelection selection;
  Transactions commit, roll_back, unconfigured;
  std::set<Gid> recorded;
  for (const Decision& decision : input.decided) {
    recorded.insert(decision.gid);
    if (input.active.contains(decision.gid)) continue;
    const bool complete = FirstUnconfigured(decision, input.participants).empty();
    (complete ? commit : unconfigured)[decision.gid] = decision;
  }
  for (const PreparedBranch& branch : ListedTwice(input)) {
    const Gid& gid = branch.id.gid;
    if (gid.node != input.node || input.active.contains(gid) || recorded.contains(gid))
      continue;
    const bool own = gid.log == input.log;
    if (!own && gid.log != input.adopt) {
      selection.cloned.push_back(branch);
    } else if (own && gid.incarnation > input.incarnation) {
      selection.newer.push_back(branch);
    } else if (input.find(gid) == LoggedState::kUnknown) {
      Add(roll_back, branch);
    } else {
      // Ended, so it is committed everywhere else: never roll this one back.
      Add(commit, branch);
    }
  }
  selection.commit = InOrder(std::move(commit));
  selection.roll_back = InOrder(std::move(roll_back));
  selection.unconfigured = InOrder(std::move(unconfigured));
  return selection;
}

}  // namespace indoubt
