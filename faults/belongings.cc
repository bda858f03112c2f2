#include "faults/belongings.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"

namespace indoubt {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(2);
constexpr auto kLastSignalLimit = std::chrono::seconds(5);
constexpr auto kRemovalLimit = std::chrono::seconds(2);

struct Belongings {
  std::mutex mutex;  // guards the rest; held for ever once all is taken away
  std::map<pid_t, int> children;
  std::set<std::string> folders;
};

/// Never destroyed: threads may still use it while the process exits.
Belongings& All() {
  static auto* const all = new Belongings;
  return *all;
}

/// Takes out of `children` those that have ended.
void Reap(std::map<pid_t, int>& children) {
  std::erase_if(children, [](const auto& child) {
    return waitpid(child.first, nullptr, WNOHANG) == child.first;
  });
}

void EndAll(std::map<pid_t, int>& children) {
  for (const auto& [pid, last_signal] : children) {
    kill(pid, last_signal);
    kill(pid, SIGCONT);  // one that stands still would not hear the other
  }
  const TimePoint deadline = SystemClock().Now() + kLastSignalLimit;
  for (Reap(children); !children.empty() && SystemClock().Now() < deadline; Reap(children)) {
    std::this_thread::sleep_for(kPoll);
  }
  for (const auto& [pid, last_signal] : children) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
}

/// Again while a thread of this process, or a server's child on its last legs, still writes
/// into it.
void RemoveFolder(const std::string& path) {
  const TimePoint deadline = SystemClock().Now() + kRemovalLimit;
  std::error_code error;
  do {
    std::filesystem::remove_all(path, error);
  } while (std::filesystem::exists(path, error) && SystemClock().Now() < deadline);
}

}  // namespace

pid_t AddChild(const std::function<pid_t()>& start, int last_signal) {
  Belongings& all = All();
  const std::lock_guard lock(all.mutex);  // across the start: no child is missed
  const pid_t pid = start();
  if (pid > 0) all.children[pid] = last_signal;
  return pid;
}

std::optional<int> ReapChild(pid_t child) {
  Belongings& all = All();
  const std::lock_guard lock(all.mutex);  // a reaped pid may be somebody else's at once
  int status = 0;
  if (waitpid(child, &status, WNOHANG) != child) return std::nullopt;
  all.children.erase(child);
  return status;
}

std::string AddScratchFolder(const std::function<std::string()>& make) {
  Belongings& all = All();
  const std::lock_guard lock(all.mutex);
  return *all.folders.insert(make()).first;
}

void ForgetScratchFolder(const std::string& path) {
  Belongings& all = All();
  const std::lock_guard lock(all.mutex);
  all.folders.erase(path);
}

void TakeEverythingAway() {
  Belongings& all = All();
  all.mutex.lock();  // and never unlocked
  EndAll(all.children);
  for (const std::string& folder : all.folders) RemoveFolder(folder);
}

}  // namespace indoubt
