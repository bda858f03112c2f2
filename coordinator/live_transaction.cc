#include "coordinator/live_transaction.h"

#include <thread>

#include <fmt/format.h>

#include "base/failpoint.h"

namespace indoubt {

LiveTransaction::LiveTransaction(Engine& engine, Transaction machine, bool recovered)
    : engine_(engine),
      gid_(machine.gid()),
      recovered_(recovered),
      machine_(std::move(machine)) {
  parts_.resize(machine_.branches().size());
  for (size_t i = 0; i < parts_.size(); ++i) parts_[i].name = machine_.branches()[i].name;
}

std::shared_ptr<LiveTransaction> LiveTransaction::New(
    Engine& engine, const Gid& gid, std::vector<BranchWork> work, TimePoint began,
    std::vector<std::string> warnings, RequestTraits traits, OutcomeCallback done) {
  std::vector<std::string> names;
  names.reserve(work.size());
  std::optional<size_t> last_resource;
  for (const BranchWork& part : work) {
    Participant& participant = *engine.participants()[part.participant];
    if (!gid.home.empty() && participant.last_resource()) last_resource = names.size();
    names.push_back(participant.name());
  }
  // A request that may be asked again needs its id in the log, whoever takes part.
  const TransactionTraits ask{.always_decide = !traits.request_id.empty(),
                              .answer_decided = traits.answer_when == AnswerWhen::kDecided};
  const bool lone = names.size() == 1 && !ask.always_decide;
  std::shared_ptr<LiveTransaction> live(new LiveTransaction(
      engine, Transaction(gid, std::move(names), last_resource, ask), false));
  live->lone_ = lone;
  for (size_t i = 0; i < work.size(); ++i) {
    live->parts_[i].participant = work[i].participant;
    live->parts_[i].statements = std::move(work[i].statements);
    live->parts_[i].positions = std::move(work[i].positions);
  }
  live->began_ = began;
  live->warnings_ = std::move(warnings);
  live->traits_ = std::move(traits);
  live->done_ = std::move(done);
  return live;
}

std::shared_ptr<LiveTransaction> LiveTransaction::Recovered(Engine& engine,
                                                            Transaction machine) {
  std::shared_ptr<LiveTransaction> live(new LiveTransaction(engine, std::move(machine), true));
  for (size_t i = 0; i < live->parts_.size(); ++i) {
    const std::optional<size_t> position = engine.Position(live->parts_[i].name);
    INDOUBT_CHECK(position.has_value(), live->parts_[i].name);
    live->parts_[i].participant = *position;
  }
  return live;
}

void LiveTransaction::Start(TimePoint deadline) {
  if (recovered_) {
    Post(Started{});
    return;
  }
  for (size_t i = 0; i < parts_.size(); ++i) {
    Participant& participant = *engine_.participants()[parts_[i].participant];
    if (i == machine_.last_resource()) {
      auto last = participant.last_resource()->BeginLast(gid_, deadline);
      last_branch_ = last.get();
      parts_[i].branch = std::move(last);
    } else {
      parts_[i].branch = participant.Begin(gid_, deadline);
    }
  }
  // A lone participant gives up at the deadline by itself and knows better than a
  // timer whether it has committed: it gets a moment to say so.
  const Duration grace = lone_ ? std::chrono::milliseconds(250) : Duration{};
  SetCallerTimer(deadline + grace, TimedOut{});
  if (Status begun = MayBegin(); !begun.ok()) {
    Post(GaveUp{begun.code(), begun.message()});
  }
  Post(Started{});
}

Status LiveTransaction::MayBegin() const {
  INDOUBT_RETURN_IF_ERROR(PassPoint("begun"));
  if (!traits_.before_prepare) return Status::Ok();
  return traits_.before_prepare(gid_.ToString());
}

void LiveTransaction::Post(Event event) {
  {
    std::lock_guard lock(mutex_);
    if (superseded_) return;
    inbox_.push_back(std::move(event));
    if (running_) return;
    running_ = true;
  }
  if (!engine_.Enter()) return;  // the engine ends: nothing is done any more
  // The register's reference may go within the strand.
  const std::shared_ptr<LiveTransaction> self = shared_from_this();
  RunStrand();
  engine_.Leave();
}

void LiveTransaction::RunStrand() {
  std::vector<Event> events;
  for (;;) {
    {
      std::lock_guard lock(mutex_);
      events.clear();
      events.swap(inbox_);
      if (events.empty() || superseded_) {
        running_ = false;
        return;
      }
    }
    for (const Event& event : events) {
      std::vector<Action> actions;
      {
        std::lock_guard lock(mutex_);
        actions = machine_.Step(event);
      }
      for (const Action& action : actions) {
        std::visit([this](const auto& specific) { Do(specific); }, action);
      }
    }
  }
}

void LiveTransaction::PostAt(TimePoint when, Event event) {
  engine_.runtime().ScheduleAt(
      when, [self = shared_from_this(), event = std::move(event)] { self->Post(event); });
}

void LiveTransaction::PostLater(Event event) {
  PostAt(engine_.Now() + engine_.backoff().Delay(1), std::move(event));
}

void LiveTransaction::SetCallerTimer(TimePoint when, Event event) {
  auto fire = [self = shared_from_this(), event = std::move(event)] {
    const bool was_timeout = std::holds_alternative<TimedOut>(event);
    self->Post(event);
    if (!was_timeout) return;
    // Too late to abort perhaps; then the caller's patience starts to run out.
    const TimePoint now = self->engine_.Now();
    if (self->lone_) {
      self->Post(CallerTimedOut{});
    } else {
      self->SetCallerTimer(now + self->engine_.apply_timeout(), CallerTimedOut{});
    }
  };
  std::lock_guard lock(mutex_);
  if (machine_.answered()) return;
  if (caller_timer_) engine_.runtime().Cancel(*caller_timer_);
  caller_timer_ = engine_.runtime().ScheduleAt(when, std::move(fire));
}

void LiveTransaction::GiveUp(const std::string& reason) {
  if (recovered_) return;
  Post(GaveUp{StatusCode::kAborted, reason});
  // Its caller need not wait for those who still wait for a lock.
  if (Snapshot().decision() == DecisionOutcome::kAborted) Post(CallerTimedOut{});
}

void LiveTransaction::Nudge() {
  std::vector<size_t> due;
  bool ask = false;
  {
    std::lock_guard lock(mutex_);
    ask = ask_retry_ && engine_.runtime().Cancel(*ask_retry_);
    if (ask) ask_retry_.reset();
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (!parts_[i].retry || !engine_.runtime().Cancel(*parts_[i].retry)) continue;
      parts_[i].retry.reset();
      due.push_back(i);
    }
  }
  if ((due.empty() && !ask) || !engine_.Enter()) return;
  if (ask) SendAsk();
  const bool commit = Snapshot().decision() == DecisionOutcome::kCommitted;
  for (size_t part : due) Tell(part, commit);
  engine_.Leave();
}

void LiveTransaction::Supersede() {
  std::vector<std::unique_ptr<Branch>> branches;
  std::unique_lock lock(mutex_);
  superseded_ = true;
  // Whoever is inside does what it has begun, at most a round of telling everybody.
  while (running_) {
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.lock();
  }
  for (Part& part : parts_) {
    if (part.retry) engine_.runtime().Cancel(*part.retry);
    if (part.branch && !part.busy) branches.push_back(std::move(part.branch));
  }
  if (caller_timer_) engine_.runtime().Cancel(*caller_timer_);
  lock.unlock();
  engine_.Retire(std::move(branches));
  engine_.Unregister(gid_);
}

void LiveTransaction::Abandon() {
  for (Part& part : parts_) part.branch.reset();
}

Transaction LiveTransaction::Snapshot() const {
  std::lock_guard lock(mutex_);
  return machine_;
}

bool LiveTransaction::answered() const {
  std::lock_guard lock(mutex_);
  return machine_.answered();
}

void LiveTransaction::SetBusy(size_t part) {
  std::lock_guard lock(mutex_);
  parts_[part].busy = true;
}

void LiveTransaction::KeepReply(size_t part, std::vector<StatementResult> results) {
  std::lock_guard lock(mutex_);
  parts_[part].busy = false;
  if (!results.empty()) parts_[part].results = std::move(results);
}

}  // namespace indoubt
