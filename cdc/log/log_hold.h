// Between those who read the event log's file from its beginning, beside the worker, and the
// worker, which removes what is there. A killed holder holds nothing. Private to this room.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace indoubt::cdc_internal {

/// flock on the file `<event log>.hold`: shared by readers, exclusive for a step of a removal.
/// Held while it lives.
class LogHold {
 public:
  /// Nothing is removed meanwhile. Waits for the step under way: some milliseconds.
  static Result<std::unique_ptr<LogHold>> Share(const std::string& log_path);
  /// Null when somebody holds the log.
  static Result<std::unique_ptr<LogHold>> TryExclude(const std::string& log_path);
  /// Whether somebody shares it at present; a step of a removal is nobody. Holds nothing, and
  /// makes no file.
  static Result<bool> IsShared(const std::string& log_path);

  ~LogHold();
  LogHold(const LogHold&) = delete;
  LogHold& operator=(const LogHold&) = delete;

 private:
  explicit LogHold(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace indoubt::cdc_internal
