#include "coordinator/engine.h"

#include <thread>

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
  while (acting_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (const auto& transaction : Live()) transaction->Abandon();
  retired_.clear();
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

LastResource* Engine::LastResourceAt(const std::string& home) const {
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
  std::lock_guard lock(live_mutex_);
  if (bounded && live_.size() >= kMaxLive) return false;
  return live_.emplace(transaction->gid(), transaction).second;
}

void Engine::Unregister(const Gid& gid) {
  {
    std::lock_guard lock(live_mutex_);
    live_.erase(gid);
  }
  Notify();
}

std::vector<std::shared_ptr<LiveTransaction>> Engine::Live() const {
  std::lock_guard lock(live_mutex_);
  std::vector<std::shared_ptr<LiveTransaction>> live;
  live.reserve(live_.size());
  for (const auto& [gid, transaction] : live_) live.push_back(transaction);
  return live;
}

size_t Engine::live_count() const {
  std::lock_guard lock(live_mutex_);
  return live_.size();
}

bool Engine::Enter() {
  ++acting_;
  if (!stopping_) return true;
  --acting_;
  return false;
}

void Engine::Leave() { --acting_; }

void Engine::Retire(std::vector<std::unique_ptr<Branch>> branches) {
  std::lock_guard lock(retired_mutex_);
  const bool first = retired_.empty();
  for (auto& branch : branches) {
    if (branch) retired_.push_back(std::move(branch));
  }
  if (!first || retired_.empty()) return;
  runtime_->ScheduleAt(Now() + std::chrono::milliseconds(20), [this] {
    std::vector<std::unique_ptr<Branch>> freed;
    std::lock_guard inner(retired_mutex_);
    freed.swap(retired_);
  });
}

void Engine::Ended(const Gid& gid, std::vector<size_t> participants) {
  if (!gid.home.empty()) return decision_rows_.Ended(gid, std::move(participants));
  std::lock_guard lock(ended_mutex_);
  ended_.push_back({gid, std::move(participants)});
  ++ended_count_;
  if (ended_.size() > kMaxEnded) ended_.pop_front();
}

uint64_t Engine::ended() const {
  std::lock_guard lock(ended_mutex_);
  return ended_count_;
}

void Engine::ForgetEnded(uint64_t up_to) {
  std::vector<EndedTransaction> durable;
  {
    std::lock_guard lock(ended_mutex_);
    while (!ended_.empty() && ended_count_ - ended_.size() < up_to) {
      durable.push_back(std::move(ended_.front()));
      ended_.pop_front();
    }
  }
  for (const EndedTransaction& transaction : durable) {
    for (size_t i : transaction.participants) participants_[i]->Forget(transaction.gid);
  }
}

}  // namespace indoubt
