#include "tests/simulation/simulated_runtime.h"

#include <memory>

namespace indoubt::simulation {

Runtime::TimerId SimulatedRuntime::ScheduleAt(TimePoint when, std::function<void()> work) {
  if (timer_stopped_ || !process_.alive()) return {};
  // The id is known only afterwards; an event removes it before it runs.
  const auto id = std::make_shared<TimerId>();
  *id = process_.events().ScheduleAt(when, [this, id, work = std::move(work)] {
    timers_.erase(*id);
    if (process_.alive()) work();
  });
  timers_.insert(*id);
  return *id;
}

bool SimulatedRuntime::Cancel(const TimerId& id) {
  return timers_.erase(id) > 0 && process_.events().Cancel(id);
}

void SimulatedRuntime::StopTimer() {
  timer_stopped_ = true;
  std::set<TimerId> timers;
  timers.swap(timers_);
  for (const TimerId& id : timers) process_.events().Cancel(id);
}

void SimulatedRuntime::StartMaintenance(std::function<TimePoint()> step) {
  step_ = std::move(step);
  *maintaining_ = true;
  WakeMaintenance();
}

void SimulatedRuntime::WakeMaintenance() {
  if (!*maintaining_) return;
  if (next_step_) process_.events().Cancel(*next_step_);
  next_step_ = process_.events().ScheduleIn({}, [this] { Maintain(); });
}

void SimulatedRuntime::Maintain() {
  next_step_.reset();
  post_([this, maintaining = maintaining_] {
    if (!*maintaining || !process_.alive()) return;
    const TimePoint next = step_();
    // Woken meanwhile, or stopped.
    if (!*maintaining || next_step_) return;
    next_step_ = process_.events().ScheduleAt(next, [this] { Maintain(); });
  });
}

void SimulatedRuntime::StopMaintenance() {
  *maintaining_ = false;
  if (next_step_) process_.events().Cancel(*next_step_);
  next_step_.reset();
}

}  // namespace indoubt::simulation
