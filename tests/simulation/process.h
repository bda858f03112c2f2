// The coordinator's process as the world sees it: while it lives its steps have effects;
// it may die before any of them. A dead one may run on (it is one thread with ours), but
// nothing that it does reaches anybody.
#pragma once

#include <functional>
#include <string>

#include "tests/simulation/event_queue.h"
#include "tests/simulation/nature.h"
#include "tests/simulation/trace.h"

namespace indoubt::simulation {

class Process {
 public:
  /// `die` is called when the process dies: what that does to the disk.
  Process(EventQueue& events, Trace& trace, std::function<Death()> before_step,
          std::function<void(Death)> die)
      : events_(events),
        trace_(trace),
        before_step_(std::move(before_step)),
        die_(std::move(die)) {}

  bool alive() const { return alive_; }
  EventQueue& events() { return events_; }
  Trace& trace() { return trace_; }

  /// Before each step that anybody outside can see: whether the process lives to do it.
  bool Step(const char* what, uint64_t detail = 0) {
    if (!alive_) return false;
    const Death death = before_step_();
    if (death != Death::kNone) Die(death, what, detail);
    return alive_;
  }
  void Die(Death death, const char* where = "at rest", uint64_t detail = 0) {
    if (!alive_) return;
    alive_ = false;
    trace_.Add("dies before", where, static_cast<uint64_t>(death), detail);
    die_(death);
  }

  /// Runs events until `done()`, `deadline` or death; whether `done()` came true.
  bool WaitUntil(TimePoint deadline, const std::function<bool()>& done) {
    while (!done()) {
      if (!alive_ || !events_.RunNext(deadline)) return done();
    }
    return true;
  }

 private:
  EventQueue& events_;
  Trace& trace_;
  std::function<Death()> before_step_;
  std::function<void(Death)> die_;
  bool alive_ = true;
};

}  // namespace indoubt::simulation
