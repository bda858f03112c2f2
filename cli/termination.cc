#include "cli/termination.h"

#include <ctime>
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

bool AwaitTermination(const std::function<bool()>& give_up) {
  const sigset_t signals = TerminationSignals();
  const timespec interval{.tv_sec = 0, .tv_nsec = 50'000'000};
  while (sigtimedwait(&signals, nullptr, &interval) < 0) {
    if (give_up()) return false;
  }
  std::thread([signals] {
    int signal = 0;
    sigwait(&signals, &signal);
    _exit(kInterrupted);
  }).detach();
  return true;
}

}  // namespace indoubt::cli
