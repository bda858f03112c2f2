// A request on its way into the coordinator: sorted by participant, admitted, named by a gid.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "coordinator/live_coordinator.h"
#include "participants/last_resource.h"

namespace indoubt {
namespace {

void Refuse(const OutcomeCallback& done, Duration elapsed, const Status& why) {
  TransactionOutcome outcome = RefusedBecause(why);
  outcome.elapsed = elapsed;
  done(std::move(outcome));
}

}  // namespace

Result<SplitRequest> LiveCoordinator::Split(TransactionRequest& request) const {
  if (request.statements.empty()) {
    return Status(StatusCode::kInvalidArgument, "a transaction needs at least one statement");
  }
  SplitRequest split;
  split.parts.reserve(std::min(request.statements.size(), engine_.participants().size()));
  split.part_of.reserve(request.statements.size());
  for (AddressedStatement& statement : request.statements) {
    size_t mine = 0;
    while (mine < split.parts.size() &&
           engine_.participants()[split.parts[mine].participant]->name() !=
               statement.participant) {
      ++mine;
    }
    if (mine == split.parts.size()) {
      const std::optional<size_t> position = engine_.Position(statement.participant);
      if (!position) {
        return Status(StatusCode::kInvalidArgument,
                      fmt::format("{}: no participant of this name is configured",
                                  statement.participant.substr(0, 80)));
      }
      split.parts.push_back({*position, {}});
    }
    split.parts[mine].statements.push_back(std::move(statement.statement));
    split.part_of.push_back(static_cast<uint32_t>(mine));
  }
  return split;
}

Status LiveCoordinator::Admit(const std::vector<BranchWork>& work,
                              std::vector<std::string>& warnings) {
  if (draining_) {
    return Status(StatusCode::kUnavailable, "the coordinator is stopping; ask another one");
  }
  if (Status health = engine_.log().health(); !health.ok()) {
    return health.WithContext("decision log");
  }
  for (const BranchWork& part : work) {
    if (Status ready = engine_.readiness().Ready(part.participant, warnings); !ready.ok()) {
      CheckSoon();
      return ready;
    }
  }
  return Status::Ok();
}

/// One participant alone commits in one phase, last resource or not.
std::string LiveCoordinator::HomeFor(const std::vector<BranchWork>& work) const {
  if (work.size() < 2) return "";
  for (const BranchWork& part : work) {
    LastResource* last = engine_.participants()[part.participant]->last_resource();
    if (last != nullptr) return last->home();
  }
  return "";
}

void LiveCoordinator::Execute(TransactionRequest request, OutcomeCallback done) {
  const TimePoint began = engine_.Now();
  if (Status timeout = CheckTimeout(request.timeout); !timeout.ok()) {
    return Refuse(done, engine_.Now() - began, timeout);
  }
  if (Status id = CheckRequestId(request.request_id); !id.ok()) {
    return Refuse(done, engine_.Now() - began, id);
  }
  if (request.request_id.empty()) {
    ExecuteNew(std::move(request), {}, began, std::move(done));
  } else {
    ExecuteOnce(std::move(request), std::move(done));
  }
}

void LiveCoordinator::ExecuteNew(TransactionRequest request, RequestName name, TimePoint began,
                                 OutcomeCallback done) {
  Result<SplitRequest> split = Split(request);
  if (!split) return Refuse(done, engine_.Now() - began, split.error());
  std::vector<std::string> warnings;
  if (Status admitted = Admit(split->parts, warnings); !admitted.ok()) {
    return Refuse(done, engine_.Now() - began, admitted);
  }
  const Duration timeout =
      request.timeout > Duration{} ? request.timeout : options_.default_timeout;
  int64_t longest = longest_timeout_.load(std::memory_order_relaxed);
  while (timeout.count() > longest &&
         !longest_timeout_.compare_exchange_weak(longest, timeout.count())) {
  }
  // What a request's id is remembered by is the commit record, which only the log has.
  const Gid gid{options_.node, engine_.log().id(), engine_.log().incarnation(),
                next_number_.fetch_add(1, std::memory_order_relaxed),
                name.empty() ? HomeFor(split->parts) : std::string()};
  RequestTraits traits{std::move(name), request.answer_when.value_or(options_.answer_when),
                       std::move(request.before_prepare), std::move(request.after_completion)};
  auto live = LiveTransaction::New(engine_, gid, std::move(*split), began, std::move(warnings),
                                   std::move(traits), std::move(done));
  if (!engine_.Register(live, /*bounded=*/true)) {
    return Refuse(live->TakeCallback(), engine_.Now() - began,
                  Status(StatusCode::kUnavailable,
                         fmt::format("{} transactions are under way already; try again later",
                                     Engine::kMaxLive)));
  }
  live->Start(began + timeout);
}

}  // namespace indoubt
