// The coordinator's runtime on one thread and in virtual time. Whoever would block runs
// the world's events meanwhile; so calls that may block are tasks of the world, which
// runs one at a time.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "coordinator/runtime.h"
#include "tests/simulation/process.h"

namespace indoubt::simulation {

/// Hands something that may block to the world.
using PostTask = std::function<void(std::function<void()>)>;

class SimulatedRuntime final : public Runtime {
 public:
  SimulatedRuntime(Process& process, PostTask post, uint64_t seed)
      : process_(process), post_(std::move(post)), seed_(seed) {}
  ~SimulatedRuntime() override {
    StopMaintenance();
    StopTimer();
  }

  TimePoint Now() const override { return process_.events().Now(); }

  TimerId ScheduleAt(TimePoint when, std::function<void()> work) override;
  bool Cancel(const TimerId& id) override;
  void StopTimer() override;

  bool WaitUntil(TimePoint deadline, const std::function<bool()>& done) override {
    return process_.WaitUntil(deadline, done);
  }
  void Notify() override {}
  void RunAll(const std::vector<size_t>& positions,
              const std::function<void(size_t)>& work) override {
    for (const size_t position : positions) work(position);
  }

  void StartMaintenance(std::function<TimePoint()> step) override;
  void WakeMaintenance() override;
  void StopMaintenance() override;

  uint64_t Seed() override { return seed_; }

 private:
  void Maintain();

  Process& process_;
  const PostTask post_;
  const uint64_t seed_;
  bool timer_stopped_ = false;
  std::set<TimerId> timers_;

  std::function<TimePoint()> step_;
  std::optional<EventQueue::Id> next_step_;
  // Shared with a task that may run when this is gone.
  std::shared_ptr<bool> maintaining_ = std::make_shared<bool>(false);
};

}  // namespace indoubt::simulation
