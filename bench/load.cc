#include "bench/load.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

namespace indoubt::bench {
namespace {

/// An answer that one thread sleeps for, by the kernel's own futex: the library's atomic
/// wait yields a few times before it sleeps, which is dear with many threads.
class Waiter {
 public:
  Outcome Execute(TransactionExecutor& executor, TransactionRequest request) {
    state_.store(kWaiting, std::memory_order_relaxed);
    executor.Execute(std::move(request), [this](const TransactionOutcome& outcome) {
      const int before = state_.exchange(static_cast<int>(outcome.outcome));
      if (before == kAsleep) syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr);
    });
    int expected = kWaiting;
    if (state_.compare_exchange_strong(expected, kAsleep)) {
      while (state_.load() == kAsleep) {
        syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, kAsleep, nullptr);
      }
    }
    return static_cast<Outcome>(state_.load());
  }

 private:
  static constexpr int kWaiting = -1, kAsleep = -2;
  std::atomic<int> state_{kWaiting};
  static_assert(sizeof state_ == sizeof(int), "what a futex is");
};

class InFlight {
 public:
  InFlight(TransactionExecutor& executor, MakeRequest make, uint64_t transactions,
           int in_flight, Resubmit resubmit, const std::function<void(uint64_t)>& on_answer)
      : executor_(executor),
        make_(make),
        transactions_(transactions),
        in_flight_(in_flight),
        resubmit_(resubmit),
        on_answer_(on_answer) {}

  uint64_t Run() {
    switch (resubmit_) {
      case Resubmit::kCallback:
        for (int i = 0; i < in_flight_; ++i) Next();
        break;
      case Resubmit::kThread:
        SubmitAll();
        break;
    }
    // Looks instead of being told: then counting is the last that a callback does here.
    while (answered_.load(std::memory_order_acquire) < transactions_) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return transactions_ - committed_;
  }

 private:
  void Next() {
    if (begun_.fetch_add(1, std::memory_order_relaxed) >= transactions_) return;
    Submit();
  }
  void SubmitAll() {
    const int low = in_flight_ - in_flight_ / 4;
    for (uint64_t i = 0; i < transactions_; ++i) {
      while (open_ >= in_flight_) {
        const uint32_t seen = fell_.load();
        if (open_ > low) fell_.wait(seen);
      }
      open_.fetch_add(1);
      Submit();
    }
  }
  void Submit() {
    executor_.Execute(make_(),
                      [this](const TransactionOutcome& outcome) { Answered(outcome.outcome); });
  }
  void Answered(Outcome outcome) {
    if (outcome == Outcome::kCommitted) committed_.fetch_add(1, std::memory_order_relaxed);
    if (resubmit_ == Resubmit::kCallback) {
      Next();
    } else if (open_.fetch_sub(1) - 1 == in_flight_ - in_flight_ / 4) {
      fell_.fetch_add(1);
      fell_.notify_one();
    }
    if (on_answer_) on_answer_(answered_.load(std::memory_order_relaxed) + 1);
    answered_.fetch_add(1, std::memory_order_release);
  }

  TransactionExecutor& executor_;
  const MakeRequest make_;
  const uint64_t transactions_;
  const int in_flight_;
  const Resubmit resubmit_;
  const std::function<void(uint64_t)>& on_answer_;
  std::atomic<uint64_t> begun_{0}, answered_{0}, committed_{0};
  std::atomic<int> open_{0};
  std::atomic<uint32_t> fell_{0};  // times that few enough were in flight
};

}  // namespace

std::vector<Duration> RunOneByOne(TransactionExecutor& executor, MakeRequest make,
                                  uint64_t transactions) {
  std::vector<Duration> times;
  times.reserve(transactions);
  Waiter waiter;
  for (uint64_t i = 0; i < transactions; ++i) {
    TransactionRequest request = make();
    const TimePoint began = SystemClock().Now();
    const Outcome outcome = waiter.Execute(executor, std::move(request));
    times.push_back(SystemClock().Now() - began);
    INDOUBT_CHECK(outcome == Outcome::kCommitted, "nothing here gives reason to roll back");
  }
  return times;
}

uint64_t RunInFlight(TransactionExecutor& executor, MakeRequest make, uint64_t transactions,
                     int in_flight, Resubmit resubmit,
                     const std::function<void(uint64_t)>& on_answer) {
  return InFlight(executor, make, transactions, in_flight, resubmit, on_answer).Run();
}

uint64_t RunBlocking(TransactionExecutor& executor, MakeRequest make, uint64_t transactions,
                     int threads) {
  std::atomic<uint64_t> begun{0}, committed{0};
  std::vector<std::thread> clients;
  clients.reserve(static_cast<size_t>(threads));
  for (int t = 0; t < threads; ++t) {
    clients.emplace_back([&] {
      Waiter waiter;
      while (begun.fetch_add(1, std::memory_order_relaxed) < transactions) {
        if (waiter.Execute(executor, make()) == Outcome::kCommitted) ++committed;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  return transactions - committed;
}

}  // namespace indoubt::bench
