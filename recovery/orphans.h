// Which branches recovery may touch, as pure selection: given what participants
// listed twice, what is active and what the log knows, what to commit, to roll
// back, to leave and to report. The order in which the inputs were taken is part
// of the contract: P (first listing), A (active), T (log), Q (second listing).
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "recovery/decision_log.h"

namespace indoubt {

/// A prepared branch and the participant that listed it. The name within the branch is
/// another one when two participants share a store, or when a participant has another
/// name in the configuration now.
struct ListedBranch : PreparedBranch {
  std::string listed_by;

  bool BearsItsListersName() const { return listed_by == id.participant; }
};

struct OrphanInput {
  std::vector<ListedBranch> first;     // P
  std::set<Gid> active;                // A
  std::vector<Decision> decided;       // T: commits without an end record, log and rows
  std::vector<ListedBranch> second;    // Q
  std::set<std::string> participants;  // those configured
  std::string node;                    // this node's
  LogId log;                           // this log's
  uint32_t incarnation = 0;            // this log's
  std::optional<LogId> adopt;          // treat this log's branches as ours
  /// What the log knows of a gid that is not in `decided`.
  std::function<LoggedState(const Gid&)> find;
};

struct OrphanSelection {
  /// To commit at each branch named: recorded commits, and listed branches whose
  /// transaction has ended as committed.
  std::vector<Decision> commit;
  /// Prepared here and never decided: to roll back.
  std::vector<Decision> roll_back;
  /// Prepared here, and their gids name a last resource: the decision that stands there is
  /// to be asked for first.
  std::vector<Decision> ask;
  /// Recorded commits that name a participant which is not configured: untouched.
  std::vector<Decision> unconfigured;
  /// Branches that would be committed or rolled back, but no participant of their name
  /// listed them: nobody can be told. Untouched, in doubt.
  std::vector<ListedBranch> misnamed;
  /// Branches of this node but of another log (a cloned configuration): untouched.
  std::vector<PreparedBranch> cloned;
  /// Branches of this log from an incarnation that it has not had: an old copy of
  /// the log is in use. Its commits are unknown here, so nothing may be presumed.
  std::vector<PreparedBranch> newer;
};

/// Selects. Branches of other nodes appear nowhere in the result. The result is
/// ordered by gid, each transaction once.
OrphanSelection SelectOrphans(const OrphanInput& input);

/// The first participant that `decision` names and `participants` lacks; empty if none.
std::string FirstUnconfigured(const Decision& decision,
                              const std::set<std::string>& participants);

}  // namespace indoubt
