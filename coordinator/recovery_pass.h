// One pass of recovery, in its order: list the prepared branches (P), take the
// active set (A), read the log (T), list again (Q), act on what both listings hold
// and is not active. What it finds re-enters the same state machine as new work.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/coordinator.h"
#include "coordinator/engine.h"
#include "coordinator/transaction.h"
#include "recovery/orphans.h"

namespace indoubt {

/// How long one step of several may wait that share `deadline`: for one part in `parts` of
/// what is left.
TimePoint ShareOf(const Engine& engine, TimePoint deadline, int parts);

/// What was listed, and where that failed.
struct Listing {
  std::vector<ListedBranch> branches;
  std::vector<std::string> unreachable;  // participants
  std::vector<std::string> notices;      // why, one a participant
};

/// Asks all participants at once for their prepared branches.
Listing ListEverywhere(Engine& engine, TimePoint deadline);
/// The same of those named only.
Listing ListAt(Engine& engine, const std::set<std::string>& names, TimePoint deadline);

/// What a pass has set going.
struct PassResult {
  std::vector<std::shared_ptr<LiveTransaction>> entered;
  std::vector<Decision> unconfigured;
  std::vector<ListedBranch> misnamed;
  /// Prepared, and the last resource that decides cannot tell which decision stands, or is
  /// not configured: in doubt.
  std::vector<Decision> undecided;
  bool asked = false;  // a last resource, for a decision
  std::vector<std::string> unreachable;
  std::vector<std::string> notices;
};

/// Closes the last resource's decision table, if there is one, for all transactions of
/// earlier incarnations and those of this one below `issued_before` that are not live.
/// Best effort: the next pass does it again.
void CloseDecided(Engine& engine, const std::string& node, uint64_t issued_before,
                  TimePoint deadline);

/// The commit rows of earlier incarnations of this log, and all of `adopt`'s. None, and
/// why in `notices`, when the last resource cannot be asked.
std::vector<Decision> ListDecisionRows(Engine& engine, const std::string& node,
                                       const std::optional<LogId>& adopt, TimePoint deadline,
                                       std::vector<std::string>& notices);

/// Whether the commit row of `gid` is still there. kUnavailable when nobody can tell.
Result<bool> HasDecisionRow(Engine& engine, const Gid& gid, TimePoint deadline);

/// Asks the last resources which decision stands for each of `orphans`, at once, and has
/// those entered whose answer arrives by `deadline`; the others are undecided.
void AskAndEnter(Engine& engine, const std::vector<Decision>& orphans, TimePoint deadline,
                 PassResult& result);
/// Registers a found transaction and starts it, unless it turned active or the log says of
/// it something else than `expected` by now.
void EnterRecovered(Engine& engine, Transaction machine, LoggedState expected,
                    PassResult& result);

/// Runs one pass; passes of one engine must not overlap. Returns once everything
/// that was found has re-entered, not when it has ended. An error when the log has
/// stopped: then nothing may be presumed. A participant that does not answer leaves some of
/// the time until `deadline`, for those that do to be told.
/// `issued_before`: of this incarnation's transactions with a smaller number, those that are
/// not live are over.
Result<PassResult> RunRecoveryPass(Engine& engine, const std::string& node, TimePoint deadline,
                                   const std::optional<LogId>& adopt, uint64_t issued_before);

}  // namespace indoubt
