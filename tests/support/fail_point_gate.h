// Holds this process at a fail point until it is told to go on.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string_view>

#include "base/failpoint_call.h"

namespace indoubt {

/// Armed as ArmFailPoint is: before threads start, and until the next ConfigureFailPoints.
/// Opens at its end, so nobody is held for good. Thread-safe.
class FailPointGate {
 public:
  explicit FailPointGate(std::string_view name, uint64_t hit = 1) {
    ArmFailPoint(name, hit, [state = state_] {
      std::unique_lock lock(state->mutex);
      state->reached = true;
      state->changed.notify_all();
      state->changed.wait(lock, [&] { return state->open; });
      return Status::Ok();
    });
  }
  ~FailPointGate() { Open(); }
  FailPointGate(const FailPointGate&) = delete;
  FailPointGate& operator=(const FailPointGate&) = delete;

  /// Whether somebody is held, or has been.
  bool reached() const {
    const std::lock_guard lock(state_->mutex);
    return state_->reached;
  }
  void Open() {
    const std::lock_guard lock(state_->mutex);
    state_->open = true;
    state_->changed.notify_all();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool reached = false, open = false;
  };
  // Shared with the armed point, which may outlive the gate.
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace indoubt
