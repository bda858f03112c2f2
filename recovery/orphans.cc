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

/// What both listings hold, as the second one has it, each branch once: from the
/// participant of its name, if that listed it, whoever else shares the store.
std::map<BranchId, ListedBranch> ListedTwice(const OrphanInput& input) {
  std::set<BranchId> first;
  for (const ListedBranch& branch : input.first) first.insert(branch.id);
  std::map<BranchId, ListedBranch> twice;
  for (const ListedBranch& branch : input.second) {
    if (!first.contains(branch.id)) continue;
    const auto [place, fresh] = twice.try_emplace(branch.id, branch);
    if (!fresh && branch.BearsItsListersName()) place->second = branch;
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
  Transactions commit, roll_back, ask, unconfigured;
  std::set<Gid> recorded;
  for (const Decision& decision : input.decided) {
    recorded.insert(decision.gid);
    if (input.active.contains(decision.gid)) continue;
    const bool complete = FirstUnconfigured(decision, input.participants).empty();
    (complete ? commit : unconfigured)[decision.gid] = decision;
  }
  for (const auto& [id, branch] : ListedTwice(input)) {
    const Gid& gid = id.gid;
    if (gid.node != input.node || input.active.contains(gid) || recorded.contains(gid))
      continue;
    const bool own = gid.log == input.log;
    if (!own && gid.log != input.adopt) {
      selection.cloned.push_back(branch);
    } else if (own && gid.incarnation > input.incarnation) {
      selection.newer.push_back(branch);
    } else if (!branch.BearsItsListersName()) {
      selection.misnamed.push_back(branch);
    } else if (input.find(gid) == LoggedState::kUnknown) {
      Add(gid.home.empty() ? roll_back : ask, branch);
    } else {
      // Ended, so it is committed everywhere else: never roll this one back.
      Add(commit, branch);
    }
  }
  selection.commit = InOrder(std::move(commit));
  selection.roll_back = InOrder(std::move(roll_back));
  selection.ask = InOrder(std::move(ask));
  selection.unconfigured = InOrder(std::move(unconfigured));
  return selection;
}

}  // namespace indoubt
