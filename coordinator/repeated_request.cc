// Requests with an id: one that is asked again, at once or after a restart, is answered
// and not done twice.
#include <fmt/format.h>

#include "coordinator/live_coordinator.h"
#include "coordinator/request_digest.h"

namespace indoubt {
namespace {

Status AnotherRequest(const std::string& id, const std::string& what) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("request {} {}, which was asked for with other statements; nothing "
                            "of this one has run: give it an id of its own",
                            id, what));
}

}  // namespace

TransactionOutcome LiveCoordinator::OutcomeOfRequest(const Gid& gid,
                                                     AnswerWhen answer_when) const {
  std::shared_ptr<LiveTransaction> live;
  for (const auto& one : engine_.Live()) {
    if (one->gid() == gid) live = one;
  }
  const TransactionView view =
      ViewOf(gid, live ? std::optional(live->Snapshot()) : std::nullopt);
  TransactionOutcome outcome;
  outcome.gid = view.gid;
  outcome.asked_before = true;
  outcome.outcome = view.outcome;
  outcome.participants = view.participants;
  if (view.outcome == Outcome::kHeuristic) {
    outcome.code = StatusCode::kInternal;
    outcome.reason = view.note;
    return outcome;
  }
  const LoggedState logged = engine_.log().Find(gid);
  const bool decided = logged != LoggedState::kUnknown;
  const bool suffices = decided && answer_when == AnswerWhen::kDecided;
  // Its commit is durable: nothing else can become of it.
  if (logged == LoggedState::kEnded || suffices) {
    outcome.outcome = Outcome::kCommitted;
    return outcome;
  }
  outcome.outcome = Outcome::kInDoubt;
  outcome.code = StatusCode::kDeadlineExceeded;
  outcome.reason = decided ? "commit is decided, not yet applied everywhere"
                           : "its commit is being written to the decision log";
  return outcome;
}

std::optional<TransactionOutcome> LiveCoordinator::AnswerFromLog(const RequestName& name,
                                                                 AnswerWhen answer_when) const {
  const std::optional<NamedCommit> known = engine_.log().FindRequest(name.id);
  if (!known) return std::nullopt;
  if (known->request.MayBe(name)) return OutcomeOfRequest(known->gid, answer_when);
  return RefusedBecause(
      AnotherRequest(name.id, fmt::format("is transaction {}", known->gid.ToString())));
}

void LiveCoordinator::ExecuteOnce(TransactionRequest request, OutcomeCallback done) {
  const TimePoint began = engine_.Now();
  const RequestName name{request.request_id, RequestDigest(request.statements)};
  const std::string& id = name.id;
  const AnswerWhen answer_when = request.answer_when.value_or(options_.answer_when);
  const auto answer = [this, id, began](TransactionOutcome outcome,
                                        const OutcomeCallback& first) {
    if (outcome.elapsed == Duration{}) outcome.elapsed = engine_.Now() - began;
    requests_.Answer(id, outcome);
    first(std::move(outcome));
  };
  switch (requests_.Enter(name, done)) {
    case RequestRegister::Turn::kWaits:
      return;
    case RequestRegister::Turn::kTooMany:
      return done(RefusedBecause(Status(
          StatusCode::kUnavailable,
          fmt::format("request {}: {} callers wait for its answer already; ask again later", id,
                      RequestRegister::kMaxWaiting))));
    case RequestRegister::Turn::kAnother: {
      // The one under way may be on its way to be refused, and this be what was committed.
      auto known = AnswerFromLog(name, answer_when);
      return done(known ? std::move(*known)
                        : RefusedBecause(AnotherRequest(id, "is under way")));
    }
    case RequestRegister::Turn::kFirst:
      break;
  }
  // Only now: whoever was first before us has answered after its commit was proposed.
  if (auto known = AnswerFromLog(name, answer_when)) return answer(std::move(*known), done);
  if (!engine_.log().HasRoomForRequest()) {
    return answer(RefusedBecause(Status(
                      StatusCode::kUnavailable,
                      "as many request ids as can be remembered were given within "
                      "outcome_retention; shorten that, ask later, or leave the id out")),
                  done);
  }
  ExecuteNew(std::move(request), name, began,
             [answer, done = std::move(done)](TransactionOutcome outcome) {
               answer(std::move(outcome), done);
             });
}

}  // namespace indoubt
