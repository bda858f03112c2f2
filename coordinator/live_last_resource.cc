// The actions of LiveTransaction that concern a last resource: its commit, which carries
// the decision, and the question which decision stands.
#include "coordinator/live_transaction.h"

namespace indoubt {
namespace {

/// How long one question may wait for a commit under way before it is asked anew.
constexpr Duration kAskAttempt = std::chrono::seconds(5);

}  // namespace

void LiveTransaction::Do(const AskLastResource& ask) {
  if (Status voted = PassPoint("voted"); !voted.ok()) {
    return Post(LastResourceEnded{OnePhaseKind::kRolledBack, voted.message()});
  }
  const size_t part = ask.participant;
  if (!FailPointIsArmed("worked")) {
    return SendLastResource(ask, std::move(parts_[part].statements));
  }
  Work(part, [self = shared_from_this(), ask](const Status& worked) {
    if (worked.ok()) return self->SendLastResource(ask, {});
    self->Post(LastResourceEnded{OnePhaseKind::kRolledBack, worked.message()});
  });
}

void LiveTransaction::SendLastResource(const AskLastResource& ask,
                                       std::vector<Statement> last) {
  const size_t part = ask.participant;
  if (Status before = PassPoint("last_resource_before", part); !before.ok()) {
    // No commit was sent: the branch is rolled back when it is let go.
    return Post(LastResourceEnded{OnePhaseKind::kRolledBack, before.message()});
  }
  if (OwedBranch(part) == nullptr) return;
  last_branch_->CommitDecision(
      std::move(last), ask.branches,
      [this, part](OnePhaseReply&& reply) { OnLastResource(part, std::move(reply)); });
}

void LiveTransaction::OnLastResource(size_t part, OnePhaseReply&& reply) {
  const Status after = PassPoint("last_resource_after", part);
  KeepReply(part, std::move(reply.results));
  // A rollback is certain whatever became of the answer.
  if (!after.ok() && reply.kind == OnePhaseKind::kCommitted) {
    reply = {OnePhaseKind::kUnknown, after.message(), {}};
  }
  if (reply.kind == OnePhaseKind::kUnknown) {
    engine_.readiness().Suspect(parts_[part].participant);
  }
  LastResourceEnded ended{reply.kind, std::move(reply.reason)};
  Status durable;
  if (reply.kind == OnePhaseKind::kCommitted) {
    durable = PassPoint("decision_durable");
    SetDeadline(engine_.Now() + engine_.apply_timeout(), Deadline::kCaller);
  }
  if (durable.ok()) {
    PostOwed(std::move(ended));
  } else {
    PostLater(std::move(ended));
    SettleOwed();
  }
}

void LiveTransaction::Do(const AskDecision& ask) {
  if (ask.attempt == 0) return SendAsk();
  const TimePoint when = engine_.Now() + engine_.backoff().Delay(ask.attempt);
  std::lock_guard lock(mutex_);
  ask_retry_ = engine_.runtime().ScheduleAt(when, [self = shared_from_this()] {
    if (!self->engine_.Enter()) return;
    self->SendAsk();
    self->engine_.Leave();
  });
}

void LiveTransaction::SendAsk() {
  LastResource* last_resource = engine_.LastResourceAt(gid_.home.view());
  if (last_resource == nullptr) {
    // Its table was there when this transaction began, and is another one now.
    return Post(
        Decided{DecisionOutcome::kUnknown,
                fmt::format("the decision table {} is not there any more", gid_.home.view())});
  }
  if (!OweUnlessOver()) return;
  last_resource->Ask(gid_, engine_.Now() + kAskAttempt, [this](StandingDecision standing) {
    if (Status asked = PassPoint("last_resource_asked"); !asked.ok()) {
      standing = {DecisionOutcome::kUnknown, {}, asked.message()};
    }
    PostOwed(Decided{standing.outcome, std::move(standing.reason)});
  });
}

}  // namespace indoubt
