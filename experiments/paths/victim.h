// A process of a path that may be told to kill itself at a protocol step, and is
// started again later.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "faults/process.h"

namespace indoubt {

/// Use from one thread, which must outlive the process.
class Victim {
 public:
  /// Starts `spec`. With a `strike_point` ("NAME" or "NAME@PARTICIPANT") it dies by
  /// SIGKILL when it next comes there after Strike(); `arm_path` is the file that
  /// tells it so.
  Status Start(ProcessSpec spec, const std::string& strike_point, const std::string& arm_path);

  /// kInvalidArgument when no point was armed.
  Status Strike();
  /// Calls a Strike off that has not acted yet.
  void Disarm();
  /// When it was first seen dead by signal 9. Looks anew at each call.
  std::optional<TimePoint> StruckAt();
  /// SIGKILL, wherever it is. kUnavailable when it does not run.
  Status Kill();
  /// SIGSTOP, and SIGCONT. kUnavailable when it does not run.
  Status Pause();
  Status Resume();
  /// Whether the kernel says that it stands still.
  bool Paused();
  bool Running() { return process_ != nullptr && process_->Running(); }
  /// kInternal, with its last words, when it has ended although nobody asked for it.
  Status CheckAlive(const std::string& who);
  /// SIGTERM and, after `limit`, SIGKILL. Idempotent. Says how it ended, if it ended
  /// otherwise than with 0.
  Status Stop(Duration limit);

 private:
  std::unique_ptr<Process> process_;
  std::string arm_path_;
  std::string output_path_;
  std::optional<TimePoint> struck_at_;
};

/// Waits until something accepts connections at the unix socket `path`. kUnavailable
/// with the victim's last words when it ends before; kDeadlineExceeded.
Status AwaitSocket(const std::string& path, Victim& victim, const std::string& output_path,
                   TimePoint deadline);

}  // namespace indoubt
