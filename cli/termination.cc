#include "cli/termination.h"

#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include <signal.h>
#include <unistd.h>

#include "cli/exit_code.h"

namespace indoubt::cli {
namespace {

sigset_t TerminationSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

void BlockTermination() {
  const sigset_t signals = TerminationSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

bool AwaitTermination(const std::function<bool()>& give_up,
                      const std::function<void()>& at_once) {
  const sigset_t signals = TerminationSignals();
  const timespec interval{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (sigtimedwait(&signals, nullptr, &interval) < 0) {
    if (give_up()) return false;
  }
  std::thread([signals, at_once] {
    int signal = 0;
    sigwait(&signals, &signal);
    if (at_once) at_once();
    _exit(kInterrupted);
  }).detach();
  return true;
}

EndAtTermination::EndAtTermination(const std::function<void()>& before)
    : waits_([this, before] {
        const sigset_t signals = TerminationSignals();
        const timespec interval{.tv_sec = 0, .tv_nsec = 50'000'000};
        while (!over_) {
          if (sigtimedwait(&signals, nullptr, &interval) < 0) continue;
          before();
          _exit(kDone);
        }
      }) {}

EndAtTermination::~EndAtTermination() {
  over_ = true;
  waits_.join();
}

struct Interruption::State {
  std::mutex mutex;  // guards happened, and what is awaited
  std::condition_variable changed;
  bool happened = false;
};

Interruption::Interruption() : state_(std::make_shared<State>()) {
  BlockTermination();
  std::thread([state = state_] {
    const sigset_t signals = TerminationSignals();
    int signal = 0;
    sigwait(&signals, &signal);
    {
      const std::lock_guard lock(state->mutex);
      state->happened = true;
    }
    state->changed.notify_all();
    sigwait(&signals, &signal);
    _exit(kInterrupted);
  }).detach();
}

bool Interruption::happened() const {
  const std::lock_guard lock(state_->mutex);
  return state_->happened;
}

bool Interruption::Await(const std::function<bool()>& done, TimePoint deadline,
                         bool or_interrupted) const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_until(lock, deadline,
                             [&] { return done() || (or_interrupted && state_->happened); });
  return done();
}

void Interruption::Do(const std::function<void()>& change) const {
  {
    const std::lock_guard lock(state_->mutex);
    change();
  }
  state_->changed.notify_all();
}

}  // namespace indoubt::cli
