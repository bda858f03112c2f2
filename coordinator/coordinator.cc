#include "coordinator/coordinator.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "base/duration.h"
#include "coordinator/live_coordinator.h"
#include "coordinator/recovery_pass.h"

namespace indoubt {
namespace {

/// Between two looks at participants that cannot take part, at least.
constexpr Duration kBetweenChecks = std::chrono::milliseconds(100);
/// For one preflight or listing in the background.
constexpr Duration kBackgroundCall = std::chrono::seconds(3);

Status CheckNames(const CoordinatorOptions& options,
                  const std::vector<std::unique_ptr<Participant>>& participants) {
  if (!IsValidName(options.node)) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("node \"{}\": must be [A-Za-z0-9_-]{{1,32}}", options.node.substr(0, 80)));
  }
  std::set<std::string> names;
  int last_resources = 0;
  for (const auto& participant : participants) {
    const std::string& name = participant->name();
    last_resources += participant->last_resource() != nullptr ? 1 : 0;
    if (!IsValidName(name) || !names.insert(name).second) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("participant \"{}\": names must be [A-Za-z0-9_-]{{1,32}} and "
                                "differ",
                                name.substr(0, 80)));
    }
  }
  if (last_resources > 1) {
    return Status(StatusCode::kInvalidArgument, "one participant at most is a last resource");
  }
  if (last_resources == 1 && options.node.size() > kMaxNodeLengthWithHome) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("node \"{}\": at most {} characters with a last resource",
                              options.node, kMaxNodeLengthWithHome));
  }
  return Status::Ok();
}

Status CheckDurations(const CoordinatorOptions& options) {
  constexpr Duration kLongest = std::chrono::hours(24);
  INDOUBT_RETURN_IF_ERROR(
      CheckTimeout(options.default_timeout).WithContext("coordinator.default_timeout"));
  for (const auto& [name, value, may_be_0] :
       {std::tuple("recovery_interval", options.recovery_interval, true),
        std::tuple("check_interval", options.check_interval, false),
        std::tuple("apply_timeout", options.apply_timeout, false)}) {
    const bool in_range = value > Duration{} && value <= kLongest;
    if (in_range || (may_be_0 && value == Duration{})) continue;
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("coordinator.{} {}: must be above 0{} and at most 24h", name,
                              FormatDuration(value), may_be_0 ? ", or 0 for none," : ""));
  }
  return Status::Ok();
}

}  // namespace

Result<std::unique_ptr<Coordinator>> Coordinator::Start(
    CoordinatorOptions options, std::unique_ptr<DecisionLog> log,
    std::vector<std::unique_ptr<Participant>> participants) {
  return StartCoordinator(NewThreadRuntime(), std::move(options), std::move(log),
                          std::move(participants));
}

Result<std::unique_ptr<Coordinator>> StartCoordinator(
    std::unique_ptr<Runtime> runtime, CoordinatorOptions options,
    std::unique_ptr<DecisionLog> log, std::vector<std::unique_ptr<Participant>> participants) {
  INDOUBT_CHECK(log != nullptr, "a coordinator needs a decision log");
  INDOUBT_RETURN_IF_ERROR(CheckNames(options, participants));
  INDOUBT_RETURN_IF_ERROR(CheckDurations(options));
  auto coordinator = std::make_unique<LiveCoordinator>(std::move(runtime), std::move(options),
                                                       std::move(log), std::move(participants));
  INDOUBT_RETURN_IF_ERROR(coordinator->Open());
  return std::unique_ptr<Coordinator>(std::move(coordinator));
}

LiveCoordinator::LiveCoordinator(std::unique_ptr<Runtime> runtime, CoordinatorOptions options,
                                 std::unique_ptr<DecisionLog> log,
                                 std::vector<std::unique_ptr<Participant>> participants)
    : options_(std::move(options)),
      longest_timeout_(options_.default_timeout.count()),
      engine_(std::move(runtime), std::move(log), std::move(participants),
              options_.apply_timeout) {}

LiveCoordinator::~LiveCoordinator() {
  draining_ = true;
  engine_.runtime().StopMaintenance();
  const Duration patience =
      Duration(longest_timeout_.load()) + options_.apply_timeout + std::chrono::seconds(1);
  engine_.WaitUntil(engine_.Now() + patience, [this] {
    for (const auto& live : engine_.Live()) {
      if (!live->recovered() && !live->answered()) return false;
    }
    return true;
  });
  // Those answered have an end record to write, unless they wait for a store.
  engine_.WaitUntil(engine_.Now() + std::chrono::milliseconds(100),
                    [this] { return engine_.live_count() == 0; });
  ForgetTheLast();
  engine_.decision_rows().Flush(engine_.Now() + kBackgroundCall);
}

void LiveCoordinator::ForgetTheLast() {
  // No later decision carries these end records: a one-shot process would leave an
  // outcome record at every store for good.
  const uint64_t ended = engine_.ended();
  if (ended == 0) return;
  const Status flushed = AskLog("the last end records", [this](LogCallback done) {
    engine_.log().FlushEnds(std::move(done));
  });
  // With a log that stopped, the stores keep what recovery may still ask for.
  if (flushed.ok()) engine_.ForgetEnded(ended);
}

Status LiveCoordinator::Open() {
  INDOUBT_RETURN_IF_ERROR(engine_.log().health());
  if (options_.check_at_start) {
    const TimePoint deadline =
        engine_.Now() + std::min(options_.default_timeout, options_.start_patience);
    engine_.readiness().Check(Readiness::Whom::kEverybody, deadline);
  }
  INDOUBT_RETURN_IF_ERROR(GuardEmptyLog());
  engine_.readiness().OnSuspect([this] { CheckSoon(); });
  const bool passes = options_.recovery_interval > Duration{};
  next_pass_ = passes ? engine_.Now() : TimePoint::max();
  next_full_check_ = engine_.Now() + options_.check_interval;
  engine_.runtime().StartMaintenance([this] { return Maintain(); });
  return Status::Ok();
}

Status LiveCoordinator::GuardEmptyLog() {
  if (engine_.log().accepted()) return Status::Ok();
  switch (options_.empty_log) {
    case EmptyLog::kRefuse:
      return RefuseForeignBranches(engine_.Now() + options_.start_patience);
    case EmptyLog::kAccept:
      accepted_empty_log_ = true;
      return AskLog("accepting the new log",
                    [this](LogCallback done) { engine_.log().Accept(std::move(done)); });
    case EmptyLog::kLookOnly:
      break;
  }
  return Status::Ok();
}

Status LiveCoordinator::RefuseForeignBranches(TimePoint deadline) {
  for (const PreparedBranch& branch : ListEverywhere(engine_, deadline).branches) {
    const Gid& gid = branch.id.gid;
    if (gid.node != options_.node || gid.log == engine_.log().id()) continue;
    return Status(
        StatusCode::kRefused,
        fmt::format("{}: holds the prepared branch {} of this node, whose decision is in the "
                    "log {}; the log in its place ({}) is new and has decided nothing: bring "
                    "that one back, or, if it is lost for good, run `indoubt recover "
                    "--accept-empty-log`",
                    branch.id.participant, branch.id.ToString(), gid.log.text(),
                    engine_.log().id().text()));
  }
  return Status::Ok();
}

Status LiveCoordinator::Forget(const Gid& gid, const OperatorTrace& by) {
  std::vector<size_t> keepers;
  bool found = false, committed = false;
  for (const HeuristicRecord& record : engine_.log().Heuristics()) {
    if (record.gid != gid) continue;
    found = true;
    committed = committed || record.decision == DecisionOutcome::kCommitted;
    if (const auto position = engine_.Position(record.participant)) {
      keepers.push_back(*position);
    }
  }
  for (const OperatorDecision& decision : engine_.log().OperatorDecisions()) {
    if (decision.gid != gid) continue;
    found = true;
    if (decision.decided != DecisionOutcome::kCommitted) continue;
    INDOUBT_RETURN_IF_ERROR(CheckApplied(gid));
  }
  if (!found) {
    return Status(StatusCode::kNotFound,
                  fmt::format("{}: has no heuristic outcome, and nobody decided it by hand",
                              gid.ToString()));
  }
  const LoggedState logged = engine_.log().Find(gid);
  bool unended = logged == LoggedState::kCommitted;
  if (committed && !gid.home.empty() && logged == LoggedState::kUnknown) {
    INDOUBT_ASSIGN_OR_RETURN(unended,
                             HasDecisionRow(engine_, gid, engine_.Now() + kBackgroundCall));
  }
  if (unended) {
    return Status(StatusCode::kRefused,
                  fmt::format("{}: is not applied everywhere yet, and recovery would find the "
                              "heuristic outcome anew; let `recover` end it first",
                              gid.ToString()));
  }
  OperatorTrace trace = by;
  trace.at = WallClockNow();
  INDOUBT_RETURN_IF_ERROR(AskLog(gid.ToString(), [&](LogCallback done) {
    engine_.log().Forget(gid, std::move(trace), std::move(done));
  }));
  // Durable, and so is the end record, which the log writes first.
  for (size_t participant : keepers) engine_.participants()[participant]->Forget(gid);
  return Status::Ok();
}

Status LiveCoordinator::AskLog(const std::string& what,
                               const std::function<void(LogCallback)>& ask) {
  struct Answered {
    std::mutex mutex;
    std::optional<Status> status;  // guarded by mutex
  };
  // Shared: the log may answer after the wait was given up.
  auto answered = std::make_shared<Answered>();
  ask([this, answered](Status status) {
    {
      const std::lock_guard lock(answered->mutex);
      answered->status = std::move(status);
    }
    engine_.Notify();
  });
  const auto in_time = [&answered] {
    const std::lock_guard lock(answered->mutex);
    return answered->status.has_value();
  };
  if (engine_.WaitUntil(engine_.Now() + std::chrono::seconds(10), in_time)) {
    const std::lock_guard lock(answered->mutex);
    return *answered->status;
  }
  return Status(StatusCode::kDeadlineExceeded,
                fmt::format("{}: the decision log did not answer within 10 s", what));
}

void LiveCoordinator::GiveUp(const std::string& reason) {
  draining_ = true;
  for (const auto& live : engine_.Live()) live->GiveUp(reason);
}

void LiveCoordinator::Drain(TimePoint deadline) {
  draining_ = true;
  // What is in doubt with a stopped log stays so until the next start.
  engine_.WaitUntil(deadline, [this] { return engine_.live_count() == 0 || !health().ok(); });
}

Result<PassResult> LiveCoordinator::RunPass(TimePoint deadline,
                                            const std::optional<LogId>& adopt) {
  const uint64_t issued_before = std::exchange(numbers_at_last_pass_, next_number_.load());
  return RunRecoveryPass(engine_, options_.node, deadline, adopt, issued_before);
}

void LiveCoordinator::CheckSoon() {
  if (!check_wanted_.exchange(true)) engine_.runtime().WakeMaintenance();
}

TimePoint LiveCoordinator::NextMaintenance() const {
  const TimePoint wake = std::min(next_pass_, next_full_check_);
  return check_wanted_ ? std::min(wake, next_check_) : wake;
}

TimePoint LiveCoordinator::Maintain() {
  if (engine_.Now() < NextMaintenance()) return NextMaintenance();
  check_wanted_ = false;
  const bool full = engine_.Now() >= next_full_check_;
  if (full) next_full_check_ = engine_.Now() + options_.check_interval;
  engine_.readiness().Check(full ? Readiness::Whom::kEverybody : Readiness::Whom::kUnready,
                            engine_.Now() + kBackgroundCall);
  next_check_ = engine_.Now() + kBetweenChecks;
  if (engine_.Now() >= next_pass_) {
    if (recovering_.Open(engine_.runtime(), engine_.Now())) {
      // What it cannot do now, the next pass tries again; health() tells of a
      // stopped log, List of what is in doubt.
      (void)RunPass(engine_.Now() + kBackgroundCall, std::nullopt).status();
      recovering_.Close(engine_.runtime());
    }
    next_pass_ = engine_.Now() + options_.recovery_interval;
  }
  return NextMaintenance();
}

}  // namespace indoubt
