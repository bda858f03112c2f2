// The runtime of production: the monotonic clock, one timer thread, one thread for
// maintenance, and one for each of the calls that RunAll makes at once.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>

#include "coordinator/retry.h"
#include "coordinator/runtime.h"

namespace indoubt {
namespace {

/// The longest time between two looks at what a waiter waits for: not everything that
/// may end a wait is told to Notify (a log that stops is not).
constexpr Duration kSlice = std::chrono::milliseconds(10);

class ThreadRuntime final : public Runtime {
 public:
  ~ThreadRuntime() override {
    StopMaintenance();
    timer_.Stop();
  }

  TimePoint Now() const override { return SystemClock().Now(); }

  TimerId ScheduleAt(TimePoint when, std::function<void()> work) override {
    return timer_.ScheduleAt(when, std::move(work));
  }
  bool Cancel(const TimerId& id) override { return timer_.Cancel(id); }
  void StopTimer() override { timer_.Stop(); }

  bool WaitUntil(TimePoint deadline, const std::function<bool()>& done) override;
  void Notify() override {
    if (waiters_.load(std::memory_order_relaxed) > 0) changed_.notify_all();
  }
  void RunAll(const std::vector<size_t>& positions,
              const std::function<void(size_t)>& work) override;

  void StartMaintenance(std::function<TimePoint()> step) override {
    maintainer_ = std::thread([this, step = std::move(step)] { Maintain(step); });
  }
  void WakeMaintenance() override;
  void StopMaintenance() override;

  uint64_t Seed() override { return std::random_device()(); }

 private:
  void Maintain(const std::function<TimePoint()>& step);

  std::mutex wait_mutex_;
  std::condition_variable changed_;
  std::atomic<int> waiters_{0};

  std::mutex maintain_mutex_;
  std::condition_variable maintain_changed_;
  bool stopping_ = false;  // guarded by maintain_mutex_
  bool woken_ = false;     // guarded by maintain_mutex_
  std::thread maintainer_;

  Timer timer_;
};

bool ThreadRuntime::WaitUntil(TimePoint deadline, const std::function<bool()>& done) {
  ++waiters_;
  bool reached = done();
  while (!reached && Now() < deadline) {
    std::unique_lock lock(wait_mutex_);
    // done() takes locks of its own, so it is not asked under this one; a
    // notification in between costs at most this slice.
    changed_.wait_until(lock, std::min(deadline, Now() + kSlice));
    lock.unlock();
    reached = done();
  }
  --waiters_;
  return reached;
}

void ThreadRuntime::RunAll(const std::vector<size_t>& positions,
                           const std::function<void(size_t)>& work) {
  std::vector<std::thread> threads;
  threads.reserve(positions.size());
  std::vector<size_t> here;
  for (const size_t position : positions) {
    // The last one needs no thread, nor do those for which the system has none left.
    if (&position == &positions.back()) {
      here.push_back(position);
      break;
    }
    try {
      threads.emplace_back([&work, position] { work(position); });
    } catch (const std::system_error&) {
      here.push_back(position);
    }
  }
  for (const size_t position : here) work(position);
  for (std::thread& thread : threads) thread.join();
}

void ThreadRuntime::WakeMaintenance() {
  {
    const std::lock_guard lock(maintain_mutex_);
    woken_ = true;
  }
  maintain_changed_.notify_one();
}

void ThreadRuntime::StopMaintenance() {
  {
    const std::lock_guard lock(maintain_mutex_);
    stopping_ = true;
  }
  maintain_changed_.notify_one();
  if (maintainer_.joinable()) maintainer_.join();
}

void ThreadRuntime::Maintain(const std::function<TimePoint()>& step) {
  std::unique_lock lock(maintain_mutex_);
  while (!stopping_) {
    woken_ = false;
    lock.unlock();
    const TimePoint next = step();
    lock.lock();
    maintain_changed_.wait_until(lock, next, [this] { return stopping_ || woken_; });
  }
}

}  // namespace

std::unique_ptr<Runtime> NewThreadRuntime() { return std::make_unique<ThreadRuntime>(); }

}  // namespace indoubt
