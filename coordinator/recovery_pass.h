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
#include "recovery/orphans.h"

namespace indoubt {

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
  std::vector<std::string> unreachable;
  std::vector<std::string> notices;
};

/// Runs one pass; passes of one engine must not overlap. Returns once everything
/// that was found has re-entered, not when it has ended. An error when the log has
/// stopped: then nothing may be presumed.
Result<PassResult> RunRecoveryPass(Engine& engine, const std::string& node, TimePoint deadline,
                                   const std::optional<LogId>& adopt);

}  // namespace indoubt
