#include "coordinator/engine.h"

#include <algorithm>
#include <limits>
#include <thread>

#include "base/brief_lock.h"
#include "coordinator/live_transaction.h"

namespace indoubt {

Engine::Engine(std::unique_ptr<Runtime> runtime, std::unique_ptr<DecisionLog> log,
               std::vector<std::unique_ptr<Participant>> participants, Duration apply_timeout)
    : runtime_(std::move(runtime)),
      log_(std::move(log)),
      participants_(std::move(participants)),
      apply_timeout_(apply_timeout),
      readiness_(*runtime_, participants_),
      backoff_(runtime_->Seed()),
      decision_rows_(
          *runtime_, *log_, participants_, [this] { return Enter(); }, [this] { Leave(); }) {}

Engine::~Engine() {
  stopping_ = true;
  runtime_->StopTimer();
  // Whoever acts was inside before the flag; a step is short.
  while (acting_.Anybody()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (const auto& transaction : Live()) transaction->Abandon();
  // Each answers what it still owes; nobody acts on that any more.
  participants_.clear();
  log_.reset();
}

std::optional<size_t> Engine::Position(const std::string& name) const {
  for (size_t i = 0; i < participants_.size(); ++i) {
    if (participants_[i]->name() == name) return i;
  }
  return std::nullopt;
}

LastResource* Engine::LastResourceAt(std::string_view home) const {
  LastResource* last_resource = TheLastResource();
  const bool at_home = last_resource != nullptr && last_resource->home() == home;
  return at_home ? last_resource : nullptr;
}

LastResource* Engine::TheLastResource() const {
  for (const auto& participant : participants_) {
    if (LastResource* last_resource = participant->last_resource()) return last_resource;
  }
  return nullptr;
}

bool Engine::Register(const std::shared_ptr<LiveTransaction>& transaction, bool bounded) {
  return live_.Add(transaction, bounded ? kMaxLive : std::numeric_limits<size_t>::max());
}

void Engine::Unregister(const Gid& gid) {
  live_.Remove(gid);
  Notify();
}

void Engine::ArmDeadline(TimePoint when) {
  if (when >= next_sweep_.load()) return;
  const std::lock_guard lock(deadline_mutex_);
  if (when >= next_sweep_.load()) return;
  next_sweep_ = when;
  if (deadline_timer_) runtime_->Cancel(*deadline_timer_);
  deadline_timer_ = runtime_->ScheduleAt(std::max(when, last_sweep_ + kBetweenSweeps),
                                         [this] { MeetDeadlines(); });
}

// Whoever sets a deadline does so before asking for next_sweep_. So either it finds the
// value from before this look at all of them, or one that this look leaves behind.
void Engine::MeetDeadlines() {
  if (!Enter()) return;
  const TimePoint now = Now();
  {
    const std::lock_guard lock(deadline_mutex_);
    deadline_timer_.reset();
    last_sweep_ = now;
    next_sweep_ = TimePoint::max();
  }
  TimePoint next = TimePoint::max();
  for (const auto& transaction : Live()) next = std::min(next, transaction->MeetDeadline(now));
  if (next < TimePoint::max()) ArmDeadline(next);
  Leave();
}

bool Engine::Enter() {
  acting_.Enter();
  if (!stopping_) return true;
  acting_.Leave();
  return false;
}

void Engine::Leave() { acting_.Leave(); }

void Engine::KeepUntilAnswered(std::shared_ptr<LiveTransaction> transaction) {
  const std::lock_guard lock(owed_mutex_);
  const LiveTransaction* key = transaction.get();
  owed_.emplace(key, std::move(transaction));
}

std::shared_ptr<LiveTransaction> Engine::LetGo(const LiveTransaction& transaction) {
  const std::lock_guard lock(owed_mutex_);
  auto kept = owed_.extract(&transaction);
  return kept ? std::move(kept.mapped()) : nullptr;
}

void Engine::Ended(const Gid& gid, std::vector<size_t> participants) {
  if (!gid.home.empty()) return decision_rows_.Ended(gid, std::move(participants));
  const std::unique_lock lock = LockBriefly(ended_mutex_);
  ended_.push_back({gid, std::move(participants)});
  ++ended_count_;
  if (ended_.size() <= kMaxEnded) return;
  ended_.pop_front();
  ++forgotten_count_;
}

void Engine::ForgetEnded(uint64_t up_to) {
  if (forgotten_count_ >= up_to) return;
  std::vector<EndedTransaction> durable;
  {
    const std::unique_lock lock = LockBriefly(ended_mutex_);
    while (!ended_.empty() && forgotten_count_ < up_to) {
      durable.push_back(std::move(ended_.front()));
      ended_.pop_front();
      ++forgotten_count_;
    }
  }
  for (const EndedTransaction& transaction : durable) {
    for (size_t i : transaction.participants) participants_[i]->Forget(transaction.gid);
  }
}

}  // namespace indoubt
