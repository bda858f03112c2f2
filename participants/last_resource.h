// A store that carries the decision in its own commit (logged last resource): it needs no
// prepare, and the decision log forces nothing.
//
// The others are prepared first. Then the last resource does its work, writes the decision
// row of the transaction (gid, and who else voted yes) and commits, all in one transaction
// of its own: the row is there if and only if its work is. Where the answer to that commit
// is lost, and in recovery, Ask() writes an abort row for the same gid. The gid is unique
// in the table, so one of the two rows stands, and it decides: an abort row waits for a
// commit that is still under way, even when its client is dead, and a commit that comes
// later fails on the abort row.
//
// A table has a random identity, its home, which every gid decided there carries: the
// decision of such a gid is asked for there and nowhere else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "participants/decision.h"

namespace indoubt {

/// The work of a transaction at its last resource.
class LastResourceBranch : public Branch {
 public:
  /// Runs `last`, writes the decision row with `others`, who voted yes, and commits, in as
  /// few round trips as the store allows. kRolledBack is certain: nothing of it will ever
  /// be there. kUnknown: only Ask() can tell.
  virtual void CommitDecision(std::vector<Statement> last, std::vector<BranchRecord> others,
                              OnePhaseCallback done) = 0;
};

/// The decision that stands. kCommitted comes with the whole row, kUnknown with a reason.
struct StandingDecision {
  DecisionOutcome outcome = DecisionOutcome::kUnknown;
  std::vector<BranchRecord> branches{};
  std::string reason{};
};

using StandingCallback = std::function<void(StandingDecision)>;
using DoneCallback = std::function<void(Status)>;

/// Thread-safe. Callbacks as in participant.h.
class LastResource {
 public:
  virtual ~LastResource() = default;

  /// The identity of its decision table; empty before a preflight has found or made one.
  virtual std::string home() const = 0;

  /// Opens the branch of `gid`, whose home is this one. Nothing is sent yet.
  virtual std::unique_ptr<LastResourceBranch> BeginLast(const Gid& gid, TimePoint deadline) = 0;

  /// Writes an abort row for `gid` unless a row of it is there, and tells which one stands.
  /// An answer other than kUnknown is durable and final. Waits for a commit under way until
  /// `deadline`, then kUnknown: ask again.
  virtual void Ask(const Gid& gid, TimePoint deadline, StandingCallback done) = 0;

  /// The commit rows of `node` and `log` but for those of `incarnation`, about kMostListed
  /// at most: what is removed makes room for the rest. Blocks until `deadline`.
  static constexpr int kMostListed = 16384;
  virtual Result<std::vector<Decision>> ListDecisions(std::string_view node, const LogId& log,
                                                      uint32_t incarnation,
                                                      TimePoint deadline) = 0;

  /// These transactions have ended everywhere, and the log remembers that durably: their
  /// commit rows go. `done` once that is durable.
  virtual void ForgetDecisions(std::vector<Gid> gids, TimePoint deadline,
                               DoneCallback done) = 0;

  /// From now on no commit of a gid of `floor`'s log below `floor` is let through any more,
  /// whoever sends it, and abort rows of such gids that nobody can run into any more go.
  /// Blocks until `deadline`; costs nothing when there is nothing to close or to remove.
  virtual Status CloseBelow(const Gid& floor, TimePoint deadline) = 0;
};

}  // namespace indoubt
