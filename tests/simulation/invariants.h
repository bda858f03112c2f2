// What must never happen, in one place: checked after every step against the whole
// world, that is against what the stores hold durably, what clients were told and
// what a power cut would leave of the decision log.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/executor.h"
#include "recovery/log_state.h"
#include "tests/simulation/nature.h"

namespace indoubt::simulation {

/// What became of a branch at its store. By hand: resolved by a person.
enum class BranchEnd { kCommitted, kRolledBack, kCommittedByHand, kRolledBackByHand };

class Invariants {
 public:
  /// `names` of the stores.
  explicit Invariants(std::vector<std::string> names) : names_(std::move(names)) {}

  // --- What happens -----------------------------------------------------------------

  /// A client's transaction `order` was handed to a coordinator.
  void Requested(int order, std::set<size_t> stores);
  /// A store got the prepare, or the one-phase commit, of `gid`.
  void Reached(const Gid& gid, size_t store, int order, uint64_t call);
  void Voted(const Gid& gid, size_t store, VoteKind vote);
  void Ended(const Gid& gid, size_t store, BranchEnd end);
  /// A store commits `gid` in one phase.
  void CommitsAlone(const Gid& gid) { fates_[gid].one_phase = true; }
  /// The decision row of `gid` is durable at its last resource; it is removed.
  void DecidedByRow(const Gid& gid);
  void RowGone(const Gid& gid);
  /// The coordinator's process sends this.
  void Told(MessageKind kind, const Gid& gid, size_t store);
  void Answered(int order, const TransactionOutcome& outcome);
  /// A person asked to forget the heuristic outcomes of `gid`.
  void ForgetAsked(const Gid& gid) { forgotten_.insert(gid); }
  /// What the log would hold if the power were cut now and nothing unsynced survived.
  void DurableLog(LogState log, TimePoint now);
  void Broken(std::string what);

  // --- What must hold ---------------------------------------------------------------

  /// After every step.
  void CheckStep();
  /// With the world healed and nothing under way.
  void CheckQuiet(const std::vector<std::set<Gid>>& prepared_at_stores, TimePoint now);
  /// What is where: a second recovery must not change it.
  std::string Fingerprint() const;

  /// The first that did not hold; empty while all do.
  const std::string& violation() const { return violation_; }

  int committed() const;
  int rolled_back() const;

 private:
  struct Fate {
    int order = -1;
    std::map<size_t, uint64_t> calls;  // by store, the prepare's
    std::map<size_t, VoteKind> votes;
    std::map<size_t, BranchEnd> ends;
    bool decided = false;      // a commit decision was durable once
    bool row = false;          // it stands at a last resource
    bool end_durable = false;  // and the log once said that all of it has ended
    bool one_phase = false;
    bool settled = false;  // nothing of it can change any more, and all of it was checked
    std::optional<Outcome> told;
  };
  struct Order {
    std::set<size_t> stores;
    std::optional<Outcome> told;
  };

  void CheckAgreement(const Gid& gid, const Fate& fate);
  void CheckVotes(const Gid& gid, const Fate& fate);
  void CheckTold(const Gid& gid, const Fate& fate);
  void CheckKept(const Gid& gid, const Fate& fate);
  /// Whether recovery would find the commit decision now.
  bool IsDecided(const Gid& gid, const Fate& fate) const;
  bool AllApplied(const Fate& fate) const;
  static bool ByHand(const Fate& fate);
  bool IsRecorded(const Gid& gid, size_t store) const;
  std::string Describe(const Gid& gid) const;

  const std::vector<std::string> names_;
  std::map<int, Order> orders_;
  std::map<Gid, Fate> fates_;
  std::set<Gid> forgotten_;
  std::optional<LogState> durable_;
  TimePoint durable_at_{};
  std::string violation_;
};

}  // namespace indoubt::simulation
