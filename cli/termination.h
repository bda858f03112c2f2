// SIGINT and SIGTERM as values: a first one asks to finish, a second one ends the
// process at once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "base/clock.h"

namespace indoubt::cli {

/// Blocks SIGINT and SIGTERM in this thread and all that it starts from now on.
/// Call it before any thread starts.
void BlockTermination();

/// Returns true when a signal came, false when `give_up` said so; asks it every
/// 50 ms. From then on a further signal ends the process with exit code 130, after
/// `at_once`, which is called on a thread of its own beside all others.
bool AwaitTermination(const std::function<bool()>& give_up,
                      const std::function<void()>& at_once = {});

/// As long as it lives a first SIGINT or SIGTERM ends the process with exit code 0, after
/// `before`, which is called on a thread of its own: for work that may be cut anywhere and
/// goes on at the next start. BlockTermination() comes before it.
class EndAtTermination {
 public:
  explicit EndAtTermination(const std::function<void()>& before);
  ~EndAtTermination();
  EndAtTermination(const EndAtTermination&) = delete;
  EndAtTermination& operator=(const EndAtTermination&) = delete;

 private:
  std::atomic<bool> over_{false};
  std::thread waits_;
};

/// Notices a first SIGINT or SIGTERM, from now until the process ends; a second one ends
/// it with exit code 130. Make one, before any thread starts. Thread-safe.
class Interruption {
 public:
  Interruption();

  bool happened() const;
  /// Waits for `done`, which has to become true within Do(); until `deadline`, and, if
  /// `or_interrupted`, until a signal came. Returns done().
  bool Await(const std::function<bool()>& done, TimePoint deadline, bool or_interrupted) const;
  /// Runs `change` where nobody waits meanwhile, and has those who wait look again.
  void Do(const std::function<void()>& change) const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread that waits for signals
};

}  // namespace indoubt::cli
