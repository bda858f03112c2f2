// The thread that removes from the event log what retention lets go. Private to this room.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cdc/event_log.h"
#include "cdc/pg_connection.h"
#include "cdc/retention.h"

namespace indoubt::cdc_internal {

/// How far a view has come, for the log.
struct ViewPassed {
  enum class State {
    kUnknown,  // its sink has not been asked yet
    kCopying,  // its first copy is under way: it will need all that has come since
    kAt,
  };
  State state = State::kUnknown;
  EventPosition at;  // kAt: everything up to here it needs no more
};

/// Up to where all views let the log go, at most `end`; none: it must keep everything.
std::optional<EventPosition> PassedByAll(const std::vector<ViewPassed>& views, OnViewLag rule,
                                         EventPosition end);

/// Thread-safe.
class LogKeeper {
 public:
  using Views = std::function<std::vector<ViewPassed>()>;

  /// Starts the thread. `log`, which is at `path`, `stop`, and what `views` asks must outlive
  /// it.
  LogKeeper(RetentionOptions options, std::string path, Views views, EventLog& log,
            const StopSignal& stop);
  ~LogKeeper() { Join(); }
  void Join();
  /// Ok, or why nothing is removed at present although something should be: the file's error.
  Status health() const;

 private:
  void Run();
  /// One step; whether there may be more to do now.
  Result<bool> Step();
  Duration BetweenLooks() const;

  const RetentionOptions options_;
  const std::string path_;
  const Views views_;
  EventLog& log_;
  const StopSignal& stop_;
  mutable std::mutex mutex_;
  Status health_;       // guarded by mutex_
  std::thread thread_;  // last
};

}  // namespace indoubt::cdc_internal
