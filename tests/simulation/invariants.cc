#include "tests/simulation/invariants.h"

#include <fmt/format.h>

namespace indoubt::simulation {
namespace {

const char* ToString(BranchEnd end) {
  switch (end) {
    case BranchEnd::kCommitted:
      return "committed";
    case BranchEnd::kRolledBack:
      return "rolled back";
    case BranchEnd::kCommittedByHand:
      return "committed by hand";
    case BranchEnd::kRolledBackByHand:
      return "rolled back by hand";
  }
  return "?";
}

bool IsByHand(BranchEnd end) {
  return end == BranchEnd::kCommittedByHand || end == BranchEnd::kRolledBackByHand;
}

}  // namespace

void Invariants::Broken(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

void Invariants::Requested(int order, std::set<size_t> stores) {
  orders_[order].stores = std::move(stores);
}

void Invariants::Reached(const Gid& gid, size_t store, int order, uint64_t call) {
  Fate& fate = fates_[gid];
  fate.settled = false;
  if (fate.order >= 0 && fate.order != order) {
    Broken(fmt::format("one gid for two transactions: {}", Describe(gid)));
  }
  fate.order = order;
  const auto [place, first] = fate.calls.try_emplace(store, call);
  if (!first && place->second != call) {
    Broken(fmt::format("asked twice to prepare: {}", Describe(gid)));
  }
}

void Invariants::Voted(const Gid& gid, size_t store, VoteKind vote) {
  fates_[gid].votes.emplace(store, vote);
  fates_[gid].settled = false;
}

void Invariants::Ended(const Gid& gid, size_t store, BranchEnd end) {
  Fate& fate = fates_[gid];
  fate.settled = false;
  const auto [place, first] = fate.ends.try_emplace(store, end);
  if (!first) Broken(fmt::format("a branch has ended twice: {}", Describe(gid)));
}

void Invariants::DecidedByRow(const Gid& gid) {
  Fate& fate = fates_[gid];
  fate.settled = false;
  fate.decided = fate.row = true;
}

void Invariants::RowGone(const Gid& gid) {
  Fate& fate = fates_[gid];
  fate.row = false;
  if (!fate.end_durable) {
    Broken(
        fmt::format("a decision row is removed, and no synced byte says that the "
                    "transaction has ended: {}",
                    Describe(gid)));
  }
  if (durable_) CheckKept(gid, fate);
}

bool Invariants::IsDecided(const Gid& gid, const Fate& fate) const {
  return fate.row || (durable_ && durable_->Find(gid, durable_at_) != LoggedState::kUnknown);
}

void Invariants::Told(MessageKind kind, const Gid& gid, size_t store) {
  if (kind != MessageKind::kCommit && kind != MessageKind::kRollback) return;
  const Fate& fate = fates_[gid];
  const bool decided = IsDecided(gid, fate);
  if (kind == MessageKind::kCommit && !decided && !(fate.decided && AllApplied(fate))) {
    Broken(fmt::format("{} is told commit, and nothing durable says so: {}", names_[store],
                       Describe(gid)));
  }
  if (kind == MessageKind::kRollback && (decided || fate.decided)) {
    Broken(fmt::format("{} is told to roll back a durable commit: {}", names_[store],
                       Describe(gid)));
  }
}

void Invariants::Answered(int order, const TransactionOutcome& outcome) {
  Order& mine = orders_[order];
  if (mine.told) Broken(fmt::format("client {} is answered twice", order));
  mine.told = outcome.outcome;
  if (outcome.gid.empty()) {  // refused before anything was sent
    if (outcome.outcome != Outcome::kRolledBack) Broken("an outcome without a gid");
    return;
  }
  const Gid gid = *Gid::Parse(outcome.gid);
  Fate& fate = fates_[gid];
  fate.settled = false;
  if (fate.order < 0) fate.order = order;
  if (fate.order != order) Broken(fmt::format("another's outcome: {}", Describe(gid)));
  fate.told = outcome.outcome;
  if (outcome.outcome != Outcome::kCommitted) return;
  for (const auto& [store, vote] : fate.votes) {
    if (vote == VoteKind::kYes && !fate.one_phase && !fate.decided) {
      Broken(fmt::format("the client is told commit before it is durable: {}", Describe(gid)));
    }
  }
  if (!AllApplied(fate)) {
    Broken(fmt::format("the client is told commit before it is applied: {}", Describe(gid)));
  }
}

void Invariants::DurableLog(LogState log, TimePoint now) {
  durable_.emplace(std::move(log));
  durable_at_ = now;
  for (const Decision& decision : durable_->Unended()) {
    Fate& fate = fates_[decision.gid];
    if (!fate.decided) fate.settled = false;
    fate.decided = true;
  }
  for (auto& [gid, fate] : fates_) {
    if (fate.row) {
      fate.end_durable =
          fate.end_durable || durable_->Find(gid, durable_at_) == LoggedState::kEnded;
    }
    CheckKept(gid, fate);
  }
  for (const HeuristicRecord& record : durable_->Heuristics()) {
    if (!ByHand(fates_[record.gid])) {
      Broken(fmt::format("a heuristic outcome that nobody caused ({}): {}",
                         record.reason.substr(0, 80), Describe(record.gid)));
    }
  }
}

/// No decision is forgotten (its segment dropped, its row removed, its end written) before
/// all ended.
void Invariants::CheckKept(const Gid& gid, const Fate& fate) {
  if (!fate.decided || AllApplied(fate)) return;
  const bool ended = durable_->Find(gid, durable_at_) == LoggedState::kEnded;
  if (ended || !IsDecided(gid, fate)) {
    Broken(fmt::format("a decision is gone before it is applied: {}", Describe(gid)));
  }
}

void Invariants::CheckStep() {
  if (!violation_.empty()) return;
  for (auto& [gid, fate] : fates_) {
    if (fate.settled) continue;
    CheckAgreement(gid, fate);
    CheckVotes(gid, fate);
    CheckTold(gid, fate);
    fate.settled = true;  // until something happens to it
  }
}

void Invariants::CheckAgreement(const Gid& gid, const Fate& fate) {
  bool committed = false, rolled_back = false;
  for (const auto& [store, end] : fate.ends) {
    committed = committed || end == BranchEnd::kCommitted;
    rolled_back = rolled_back || end == BranchEnd::kRolledBack;
  }
  if (committed && rolled_back) Broken(fmt::format("no agreement: {}", Describe(gid)));
  if (fate.decided && rolled_back) {
    Broken(fmt::format("rolled back against a durable commit: {}", Describe(gid)));
  }
}

/// Commit only if all voted yes (or read-only; beside one that commits alone, only that).
void Invariants::CheckVotes(const Gid& gid, const Fate& fate) {
  bool commits = fate.decided;
  for (const auto& [store, end] : fate.ends) commits = commits || end == BranchEnd::kCommitted;
  if (!commits) return;
  for (const size_t store : orders_[fate.order].stores) {
    if (fate.one_phase && fate.ends.contains(store)) continue;
    const auto vote = fate.votes.find(store);
    const bool may_commit =
        vote != fate.votes.end() && (vote->second == VoteKind::kReadOnly ||
                                     (vote->second == VoteKind::kYes && !fate.one_phase));
    if (!may_commit) {
      Broken(fmt::format("commit without the yes of {}: {}", names_[store], Describe(gid)));
    }
  }
}

/// An outcome that was told is never changed.
void Invariants::CheckTold(const Gid& gid, const Fate& fate) {
  if (!fate.told) return;
  bool committed = false, rolled_back = false;
  for (const auto& [store, end] : fate.ends) {
    committed = committed || end == BranchEnd::kCommitted;
    rolled_back = rolled_back || end == BranchEnd::kRolledBack;
  }
  switch (*fate.told) {
    case Outcome::kCommitted:
      if (rolled_back) Broken(fmt::format("told committed, rolled back: {}", Describe(gid)));
      return;
    case Outcome::kRolledBack:
      if (committed || fate.decided) {
        Broken(fmt::format("told rolled back, committed: {}", Describe(gid)));
      }
      return;
    case Outcome::kHeuristic:
      if (!ByHand(fate)) {
        Broken(fmt::format("told heuristic, and nobody interfered: {}", Describe(gid)));
      }
      return;
    case Outcome::kInDoubt:
      return;
  }
}

void Invariants::CheckQuiet(const std::vector<std::set<Gid>>& prepared_at_stores,
                            TimePoint now) {
  for (size_t store = 0; store < prepared_at_stores.size(); ++store) {
    for (const Gid& gid : prepared_at_stores[store]) {
      Broken(fmt::format("left locked at {}: {}", names_[store], Describe(gid)));
    }
  }
  if (durable_) durable_at_ = now;
  for (const auto& [gid, fate] : fates_) {
    if (fate.decided && !AllApplied(fate)) {
      Broken(fmt::format("decided and not applied: {}", Describe(gid)));
    }
    if (!fate.decided) continue;
    if (fate.row || durable_->Find(gid, now) == LoggedState::kCommitted) {
      Broken(fmt::format("applied everywhere, and not ended: {}", Describe(gid)));
    }
    for (const auto& [store, end] : fate.ends) {
      if (end != BranchEnd::kRolledBackByHand || forgotten_.contains(gid)) continue;
      if (!IsRecorded(gid, store)) {
        Broken(fmt::format("rolled back by hand at {}, and nothing tells of it: {}",
                           names_[store], Describe(gid)));
      }
    }
  }
}

bool Invariants::IsRecorded(const Gid& gid, size_t store) const {
  for (const HeuristicRecord& record : durable_->Heuristics()) {
    if (record.gid == gid && record.participant == names_[store]) return true;
  }
  return false;
}

bool Invariants::AllApplied(const Fate& fate) const {
  for (const auto& [store, vote] : fate.votes) {
    if (vote != VoteKind::kYes) continue;
    const auto end = fate.ends.find(store);
    if (end == fate.ends.end() || end->second == BranchEnd::kRolledBack) return false;
  }
  return true;
}

bool Invariants::ByHand(const Fate& fate) {
  for (const auto& [store, end] : fate.ends) {
    if (IsByHand(end)) return true;
  }
  return false;
}

std::string Invariants::Describe(const Gid& gid) const {
  std::string text = gid.ToString();
  const auto place = fates_.find(gid);
  if (place == fates_.end()) return text;
  const Fate& fate = place->second;
  fmt::format_to(std::back_inserter(text), " (client {}{}{}", fate.order,
                 fate.decided ? ", commit was durable" : "",
                 fate.told ? fmt::format(", told {}", indoubt::ToString(*fate.told)) : "");
  for (const auto& [store, vote] : fate.votes) {
    const auto end = fate.ends.find(store);
    fmt::format_to(std::back_inserter(text), "; {} voted {}{}{}", names_[store],
                   indoubt::ToString(vote), end == fate.ends.end() ? "" : ", ",
                   end == fate.ends.end() ? "" : ToString(end->second));
  }
  return text + ")";
}

std::string Invariants::Fingerprint() const {
  std::string text;
  for (const auto& [gid, fate] : fates_) text += Describe(gid) + "\n";
  return text;
}

int Invariants::committed() const {
  int count = 0;
  for (const auto& [gid, fate] : fates_) count += fate.decided ? 1 : 0;
  return count;
}

int Invariants::rolled_back() const {
  int count = 0;
  for (const auto& [gid, fate] : fates_) count += !fate.decided && !fate.one_phase ? 1 : 0;
  return count;
}

}  // namespace indoubt::simulation
