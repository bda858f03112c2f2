// Coordinator::Resolve: a person settles a transaction in doubt. His decision becomes one
// durable record, which from then on stands in the place of the log's own; what has to be
// told is then told by the same state machine that recovery re-enters.
#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "coordinator/live_coordinator.h"
#include "coordinator/recovery_pass.h"

namespace indoubt {

/// What was found of the transaction.
struct LiveCoordinator::Found {
  std::shared_ptr<LiveTransaction> live;    // under way in this process
  std::optional<Decision> decided;          // a commit without its end
  std::vector<BranchRecord> prepared;       // as listed
  std::optional<OperatorDecision> earlier;  // a person's
  LoggedState state = LoggedState::kUnknown;
  DecisionOutcome known = DecisionOutcome::kAborted;
  std::vector<std::string> notices;

  bool Nothing() const { return !live && !decided && prepared.empty() && !earlier; }
  std::optional<DecisionOutcome> LiveDecision() const {
    return live ? live->Snapshot().decision() : std::nullopt;
  }
};

namespace {

/// Holds the gate until the end of the scope.
class Turn {
 public:
  Turn(PassGate& gate, Runtime& runtime, TimePoint deadline)
      : gate_(gate), runtime_(runtime), mine_(gate.Open(runtime, deadline)) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (mine_) gate_.Close(runtime_);
  }
  bool mine() const { return mine_; }

 private:
  PassGate& gate_;
  Runtime& runtime_;
  const bool mine_;
};

/// For a look at the participants that no caller set a limit to.
constexpr Duration kLook = std::chrono::seconds(3);

Status CheckWhose(const ResolveRequest& request, const std::string& node,
                  const DecisionLog& log) {
  const Gid& gid = request.gid;
  if (gid.node != node) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{}: is of the node {}, and this is {}; ask that node's coordinator",
                    gid.ToString(), gid.node.view(), node));
  }
  const bool own = gid.log == log.id() && gid.incarnation <= log.incarnation();
  if (own || request.adopt == gid.log) return Status::Ok();
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("{}: {}, so that what it decided is not known here; bring that log back, or, "
                  "if it is lost for good, say so with --adopt {}",
                  gid.ToString(),
                  gid.log == log.id()
                      ? "is of a later incarnation than this decision log has had (an old copy)"
                      : fmt::format("is of another decision log ({} here)", log.id().text()),
                  gid.log.text()));
}

/// Whether waiting longer cannot help: all that is missing is at participants that were
/// asked and did not answer.
bool Waited(const Transaction& transaction) {
  if (transaction.state() == TransactionState::kEnded) return true;
  bool waits_for_store = false;
  for (const BranchState& branch : transaction.branches()) {
    if (branch.phase == BranchPhase::kDone) continue;
    if (branch.attempts == 0) return false;
    waits_for_store = true;
  }
  return waits_for_store;
}

}  // namespace

Result<LiveCoordinator::Found> LiveCoordinator::FindForPerson(const ResolveRequest& request,
                                                              TimePoint deadline) {
  const Gid& gid = request.gid;
  const DecisionLog& log = engine_.log();
  Found found;
  // In recovery's order: what was listed, and is so again after the active ones were
  // taken, belongs to nobody. No recovery pass runs meanwhile.
  Listing first = ListEverywhere(engine_, ShareOf(engine_, deadline, 2));
  std::set<std::string> holding;
  for (const ListedBranch& branch : first.branches) {
    if (branch.id.gid == gid) holding.insert(branch.listed_by);
  }
  for (const auto& live : engine_.Live()) {
    if (live->gid() == gid) found.live = live;
  }
  for (Decision& decision : log.Unended()) {
    if (decision.gid == gid) found.decided = std::move(decision);
  }
  for (OperatorDecision& decision : log.OperatorDecisions()) {
    if (decision.gid == gid) found.earlier = std::move(decision);
  }
  Listing second = ListAt(engine_, holding, ShareOf(engine_, deadline, 2));
  found.notices = std::move(first.notices);
  found.notices.insert(found.notices.end(), second.notices.begin(), second.notices.end());
  for (ListedBranch& branch : second.branches) {
    if (branch.id.gid != gid) continue;
    if (branch.BearsItsListersName()) {
      found.prepared.push_back({branch.id.participant, std::move(branch.token)});
    } else if (!engine_.Position(branch.id.participant)) {
      found.notices.push_back(fmt::format(
          "{}: holds a branch of participant {}, which is not configured; untouched",
          branch.listed_by, branch.id.participant));
    }
  }
  found.state = log.Find(gid);
  const bool own = gid.log == log.id() && gid.incarnation <= log.incarnation();
  if (found.state != LoggedState::kUnknown) {
    found.known = DecisionOutcome::kCommitted;
  } else {
    found.known = own ? DecisionOutcome::kAborted : DecisionOutcome::kUnknown;
  }
  return found;
}

Status LiveCoordinator::MayResolve(const ResolveRequest& request, const Found& found) const {
  const std::string gid = request.gid.ToString();
  const bool commit = request.decision == DecisionOutcome::kCommitted;
  if (found.earlier && found.earlier->decided != request.decision) {
    return Status(StatusCode::kRefused,
                  fmt::format("{}: was decided the other way already, {}; to decide anew, "
                              "`txn forget` that first",
                              gid, Describe(*found.earlier)));
  }
  const auto live = found.LiveDecision();
  if (found.live && (!live || *live == DecisionOutcome::kUnknown)) {
    return Status(StatusCode::kRefused,
                  fmt::format("{}: is under way, and its coordinator decides it within its "
                              "timeout; ask again then",
                              gid));
  }
  if (commit && live == DecisionOutcome::kAborted) {
    return Status(StatusCode::kRefused,
                  fmt::format("{}: is decided (abort) and being rolled back", gid));
  }
  if (!commit && found.known == DecisionOutcome::kCommitted && !found.earlier) {
    if (!found.decided && found.prepared.empty()) {
      return Status(
          StatusCode::kRefused,
          fmt::format("{}: is committed and applied everywhere; there is nothing left "
                      "to roll back",
                      gid));
    }
    if (!request.force) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{}: its commit is decided, and whoever asked for it may have "
                                "been told so; `txn commit` or `recover` completes it; --force "
                                "rolls back what is left, which is a heuristic outcome",
                                gid));
    }
    if (found.live && !found.live->recovered() && !found.live->answered()) {
      return Status(StatusCode::kRefused,
                    fmt::format("{}: is being committed, and its caller still waits for the "
                                "answer; ask again in a moment",
                                gid));
    }
  }
  if (commit && found.decided) {
    for (const BranchRecord& branch : found.decided->branches) {
      if (engine_.Position(branch.participant)) continue;
      return Status(
          StatusCode::kRefused,
          fmt::format("{}: is committed also at participant {}, which is not "
                      "configured; configure it, or roll the others back with --force",
                      gid, branch.participant));
    }
  }
  return Status::Ok();
}

Status LiveCoordinator::RecordForPerson(const ResolveRequest& request, const Found& found) {
  // As the log keeps it, for it is shown before it was read back.
  OperatorTrace by{PrintableAscii(request.by.who), PrintableAscii(request.by.reason),
                   WallClockNow()};
  OperatorDecision decision{request.gid, request.decision, found.known, std::move(by), {}};
  std::set<std::string> names;
  for (const BranchRecord& branch : found.prepared) names.insert(branch.participant);
  if (found.decided) {
    for (const BranchRecord& branch : found.decided->branches) names.insert(branch.participant);
  }
  decision.participants.assign(names.begin(), names.end());
  return AskLog(request.gid.ToString(), [&](LogCallback done) {
    engine_.log().RecordOperatorDecision(std::move(decision), std::move(done));
  });
}

Result<std::shared_ptr<LiveTransaction>> LiveCoordinator::EnterForPerson(
    const ResolveRequest& request, const Found& found) {
  const bool commit = request.decision == DecisionOutcome::kCommitted;
  Decision decision{request.gid, {}};
  if (found.decided) decision.branches = found.decided->branches;
  for (const BranchRecord& branch : found.prepared) {
    const bool known =
        std::any_of(decision.branches.begin(), decision.branches.end(),
                    [&](const auto& other) { return other.participant == branch.participant; });
    if (!known) decision.branches.push_back(branch);
  }
  // One that is not configured cannot be told; its branch is found when it is.
  std::erase_if(decision.branches,
                [&](const auto& branch) { return !engine_.Position(branch.participant); });
  if (decision.branches.empty()) return std::shared_ptr<LiveTransaction>();
  auto live = LiveTransaction::Recovered(
      engine_, commit ? Transaction::RecoveredCommit(decision)
                      : Transaction::RecoveredOrphan(decision.gid, decision.branches));
  INDOUBT_CHECK(engine_.Register(live, /*bounded=*/false), "nobody else acts on it");
  live->Start({});
  return live;
}

// Forgotten, a commit by hand would leave its last branches to presumed abort.
Status LiveCoordinator::CheckApplied(const Gid& gid) {
  const Listing listing = ListEverywhere(engine_, engine_.Now() + kLook);
  for (const ListedBranch& branch : listing.branches) {
    if (branch.id.gid != gid) continue;
    return Status(StatusCode::kRefused,
                  fmt::format("{}: {} still holds a branch of it, which would be rolled back; "
                              "let `recover` commit it first",
                              gid.ToString(), branch.listed_by));
  }
  if (listing.notices.empty()) return Status::Ok();
  return Status(StatusCode::kRefused,
                fmt::format("{}: was committed by hand, and a branch of it may be left, which "
                            "would be rolled back: {}",
                            gid.ToString(), listing.notices.front()));
}

Result<TransactionList> LiveCoordinator::Resolve(const ResolveRequest& request,
                                                 TimePoint deadline) {
  INDOUBT_CHECK(request.decision != DecisionOutcome::kUnknown, "a person decides something");
  INDOUBT_RETURN_IF_ERROR(CheckWhose(request, options_.node, engine_.log()));
  if (!request.gid.home.empty()) {
    // A record in this log would not stand above the row that is there.
    return Status(
        StatusCode::kRefused,
        fmt::format("{}: is decided in the decision table {} of its last resource, and "
                    "not by hand; bring that PostgreSQL back, and `recover` asks there",
                    request.gid.ToString(), request.gid.home.view()));
  }
  INDOUBT_RETURN_IF_ERROR(engine_.log().health().WithContext("decision log"));
  if (!engine_.log().accepted()) {
    INDOUBT_RETURN_IF_ERROR(RefuseForeignBranches(ShareOf(engine_, deadline, 4)));
  }
  // A recovery pass might decide the same transaction.
  const Turn turn(recovering_, engine_.runtime(), deadline);
  if (!turn.mine()) {
    return Status(StatusCode::kDeadlineExceeded, "a recovery pass was under way all along");
  }
  INDOUBT_ASSIGN_OR_RETURN(Found found, FindForPerson(request, deadline));
  if (found.Nothing() && found.state == LoggedState::kUnknown) {
    if (!found.notices.empty()) return TransactionList{{}, std::move(found.notices)};
    return Status(
        StatusCode::kNotFound,
        fmt::format("{}: is not prepared anywhere and not in the log; there is nothing "
                    "to settle",
                    request.gid.ToString()));
  }
  INDOUBT_RETURN_IF_ERROR(MayResolve(request, found));
  const bool agrees = found.LiveDecision() == request.decision;
  const bool ended = found.Nothing();  // committed, and nothing is left of it
  std::shared_ptr<LiveTransaction> acting = found.live;
  if (agrees) {
    acting->Nudge();
  } else if (!ended) {
    if (found.live) found.live->Supersede();
    // It may have been applied everywhere while the stores were asked.
    if (found.decided && engine_.log().Find(request.gid) == LoggedState::kEnded) {
      return Status(StatusCode::kRefused,
                    fmt::format("{}: was committed and applied everywhere meanwhile; there is "
                                "nothing left to settle",
                                request.gid.ToString()));
    }
    if (!found.earlier) INDOUBT_RETURN_IF_ERROR(RecordForPerson(request, found));
    INDOUBT_ASSIGN_OR_RETURN(acting, EnterForPerson(request, found));
  }
  if (acting) {
    engine_.WaitUntil(deadline, [&] { return Waited(acting->Snapshot()); });
  }
  TransactionView view =
      ViewOf(request.gid, acting ? std::optional(acting->Snapshot()) : std::nullopt);
  return TransactionList{{std::move(view)}, std::move(found.notices)};
}

}  // namespace indoubt
