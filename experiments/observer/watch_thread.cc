#include "experiments/observer/watch_thread.h"

#include <fmt/format.h>

namespace indoubt {

WatchThread::WatchThread(std::string name, Duration pause, std::function<Status()> step)
    : name_(std::move(name)), pause_(pause), step_(std::move(step)) {}

void WatchThread::Start() {
  thread_ = std::thread([this] {
    while (!stopping()) {
      const Status status = step_();
      if (!status.ok() && !stopping()) {
        std::lock_guard lock(mutex_);
        if (errors_++ == 0) first_ = status;
      }
      Pause(pause_);
    }
  });
}

void WatchThread::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void WatchThread::Pause(Duration duration) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, duration, [this] { return stopping(); });
}

std::optional<std::string> WatchThread::Trouble() const {
  std::lock_guard lock(mutex_);
  if (errors_ == 0) return std::nullopt;
  return fmt::format("{}: {} errors, the first: {}", name_, errors_, first_.message());
}

std::vector<std::string> TroublesOf(std::initializer_list<const WatchThread*> threads) {
  std::vector<std::string> troubles;
  for (const WatchThread* thread : threads) {
    if (const auto trouble = thread->Trouble()) troubles.push_back(*trouble);
  }
  return troubles;
}

}  // namespace indoubt
