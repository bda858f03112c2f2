#include "coordinator/live_transaction.h"

#include <iterator>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/failpoint.h"

namespace indoubt {

const void* LiveTransaction::ThisThread() {
  static thread_local char here;
  return &here;
}

LiveTransaction::LiveTransaction(OnlyHere, Engine& engine, Transaction machine, bool recovered)
    : engine_(engine),
      gid_(machine.gid()),
      recovered_(recovered),
      parts_(machine.branches().size()),
      machine_(std::move(machine)) {
  const size_t usual = parts_.size() + 1;
  actions_.reserve(usual);
  own_.reserve(usual);
}

std::shared_ptr<LiveTransaction> LiveTransaction::New(Engine& engine, const Gid& gid,
                                                      SplitRequest request, TimePoint began,
                                                      std::vector<std::string> warnings,
                                                      RequestTraits traits,
                                                      OutcomeCallback done) {
  std::vector<std::string> names;
  names.reserve(request.parts.size());
  std::optional<size_t> last_resource;
  for (const BranchWork& part : request.parts) {
    Participant& participant = *engine.participants()[part.participant];
    if (!gid.home.empty() && participant.last_resource()) last_resource = names.size();
    names.push_back(participant.name());
  }
  // A request that may be asked again needs its id in the log, whoever takes part.
  const TransactionTraits ask{.always_decide = !traits.request.empty(),
                              .answer_decided = traits.answer_when == AnswerWhen::kDecided};
  const bool lone = names.size() == 1 && !ask.always_decide;
  auto live = std::make_shared<LiveTransaction>(
      OnlyHere{}, engine, Transaction(gid, std::move(names), last_resource, ask), false);
  live->lone_ = lone;
  for (size_t i = 0; i < request.parts.size(); ++i) {
    live->parts_[i].participant = request.parts[i].participant;
    live->parts_[i].statements = std::move(request.parts[i].statements);
  }
  live->part_of_ = std::move(request.part_of);
  live->began_ = began;
  live->warnings_ = std::move(warnings);
  live->traits_ = std::move(traits);
  live->done_ = std::move(done);
  return live;
}

std::shared_ptr<LiveTransaction> LiveTransaction::Recovered(Engine& engine,
                                                            Transaction machine) {
  auto live = std::make_shared<LiveTransaction>(OnlyHere{}, engine, std::move(machine), true);
  for (size_t i = 0; i < live->parts_.size(); ++i) {
    const std::string& name = live->machine_.branches()[i].name;
    const std::optional<size_t> position = engine.Position(name);
    INDOUBT_CHECK(position.has_value(), name);
    live->parts_[i].participant = *position;
  }
  return live;
}

void LiveTransaction::Start(TimePoint deadline) {
  if (recovered_) {
    Post(Started{});
    return;
  }
  BeginBranches(deadline);
  // A lone participant gives up at the deadline by itself and knows better than a
  // timer whether it has committed: it gets a moment to say so.
  const Duration grace = lone_ ? std::chrono::milliseconds(250) : Duration{};
  SetDeadline(deadline + grace, Deadline::kDecision);
  if (Status begun = MayBegin(); !begun.ok()) {
    Post(GaveUp{begun.code(), begun.message()});
  }
  Post(Started{});
}

void LiveTransaction::BeginBranches(TimePoint deadline) {
  Engine::Branches begun;
  begun.reserve(parts_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    Participant& participant = *engine_.participants()[parts_[i].participant];
    if (i == machine_.last_resource()) {
      auto last = participant.last_resource()->BeginLast(gid_, deadline);
      last_branch_ = last.get();
      begun.push_back(std::move(last));
    } else {
      begun.push_back(participant.Begin(gid_, deadline));
    }
  }
  // It is registered: a GiveUp from elsewhere may have ended it meanwhile.
  const std::lock_guard lock(mutex_);
  branches_ = std::move(begun);
}

Status LiveTransaction::MayBegin() const {
  INDOUBT_RETURN_IF_ERROR(PassPoint("begun"));
  if (!traits_.before_prepare) return Status::Ok();
  return traits_.before_prepare(gid_.ToString());
}

bool LiveTransaction::OweUnlessOver() {
  // Who is in the strand is waited for by Supersede, and is the one who releases.
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!InStrand()) lock.lock();
  if (superseded_ || released_) return false;
  Owe();
  return true;
}

Branch* LiveTransaction::OwedBranch(size_t part) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!InStrand()) lock.lock();
  if (superseded_ || released_ || branches_.empty()) return nullptr;
  parts_[part].busy = true;
  Owe();
  return branches_[part].get();
}

// From outside the strand; null when there is no event but that the answer is there. After
// it, with `owed`, this may be gone unless the caller holds it.
void LiveTransaction::Deliver(Event* event, bool owed) {
  std::shared_ptr<LiveTransaction> self;  // the register's reference may go within
  {
    std::unique_lock lock(mutex_);
    if (owed && owed_.fetch_sub(1, std::memory_order_relaxed) == 1 && released_) {
      self = engine_.LetGo(*this);
    }
    if (event == nullptr || superseded_) return;
    if (running_) {
      inbox_.push_back(std::move(*event));
      return;
    }
    running_ = true;
    own_.push_back(std::move(*event));
    if (!self) self = shared_from_this();
    if (!engine_.Enter()) return;  // the engine ends: nothing is done any more
    RunStrand(std::move(lock));
  }
  engine_.Leave();
}

// With mutex_ held by `lock`, and running_ set.
void LiveTransaction::RunStrand(std::unique_lock<std::mutex> lock) {
  runner_.store(ThisThread(), std::memory_order_relaxed);
  for (;;) {
    std::move(inbox_.begin(), inbox_.end(), std::back_inserter(own_));
    inbox_.clear();
    if (own_.empty() || superseded_) {
      own_.clear();
      runner_.store(nullptr, std::memory_order_relaxed);
      running_ = false;
      return;
    }
    for (const Event& event : own_) machine_.Step(event, actions_);
    own_.clear();
    lock.unlock();
    for (Action& action : actions_) {
      std::visit([this](auto& specific) { Do(specific); }, action);
    }
    actions_.clear();
    step_time_.reset();
    lock.lock();
  }
}

TimePoint LiveTransaction::StepTime() {
  if (!InStrand()) return engine_.Now();
  if (!step_time_) step_time_ = engine_.Now();
  return *step_time_;
}

void LiveTransaction::PostAt(TimePoint when, Event event) {
  engine_.runtime().ScheduleAt(when,
                               [self = shared_from_this(), event = std::move(event)]() mutable {
                                 self->Deliver(&event, /*owed=*/false);
                               });
}

void LiveTransaction::PostLater(Event event) {
  PostAt(engine_.Now() + engine_.backoff().Delay(1), std::move(event));
}

void LiveTransaction::SetDeadline(TimePoint when, Deadline meaning) {
  {
    std::lock_guard lock(mutex_);
    if (machine_.answered() || superseded_) return;
    deadline_ = meaning;
    due_ = when;
  }
  engine_.ArmDeadline(when);
}

TimePoint LiveTransaction::MeetDeadline(TimePoint now) {
  Deadline met = Deadline::kNone;
  {
    std::lock_guard lock(mutex_);
    if (due_ > now) return due_;
    due_ = TimePoint::max();
    met = std::exchange(deadline_, Deadline::kNone);
  }
  switch (met) {
    case Deadline::kNone:
      break;
    case Deadline::kDecision:
      Post(TimedOut{});
      // Too late to abort perhaps; then the caller's patience starts to run out.
      if (lone_) {
        Post(CallerTimedOut{});
      } else {
        SetDeadline(engine_.Now() + engine_.apply_timeout(), Deadline::kCaller);
      }
      break;
    case Deadline::kCaller:
      Post(CallerTimedOut{});
      break;
  }
  return TimePoint::max();
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
  std::unique_lock lock(mutex_);
  superseded_ = true;
  // Whoever is inside does what it has begun, at most a round of telling everybody.
  while (running_) {
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.lock();
  }
  Engine::Branches over(branches_.size());
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].retry) engine_.runtime().Cancel(*parts_[i].retry);
    if (i < over.size() && !parts_[i].busy) over[i].swap(branches_[i]);
  }
  if (ask_retry_) engine_.runtime().Cancel(*ask_retry_);
  deadline_ = Deadline::kNone;
  due_ = TimePoint::max();
  released_ = true;
  if (owed_ > 0) engine_.KeepUntilAnswered(shared_from_this());
  lock.unlock();
  engine_.Unregister(gid_);
}

void LiveTransaction::Abandon() {
  Engine::Branches abandoned;
  const std::lock_guard lock(mutex_);
  abandoned.swap(branches_);
}

Transaction LiveTransaction::Snapshot() const {
  std::lock_guard lock(mutex_);
  return machine_;
}

bool LiveTransaction::answered() const {
  std::lock_guard lock(mutex_);
  return machine_.answered();
}

void LiveTransaction::KeepReply(size_t part, std::vector<StatementResult> results) {
  if (!results.empty()) {
    // A caller who was not kept waiting may be told what there is at this moment.
    std::unique_lock lock(mutex_, std::defer_lock);
    if (!InStrand()) lock.lock();
    parts_[part].results = std::move(results);
  }
  parts_[part].busy = false;
}

}  // namespace indoubt
