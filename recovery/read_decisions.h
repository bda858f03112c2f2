// What a decision log says, for who only wants to know: without its lock, beside the
// process that has it, and without changing anything.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "recovery/decision_log.h"

namespace indoubt {

class LogState;

/// A log as it was at one moment. Thread-compatible.
class LoggedDecisions {
 public:
  /// Reads the log in the folder `path`. A segment that its owner replaces meanwhile is
  /// read anew. `outcome_retention`: as the log's owner has it. kNotFound when there is no
  /// log, kCorrupt for damage (file and offset), kIoError.
  static Result<LoggedDecisions> Read(FileSystem& files, const std::string& path,
                                      Duration outcome_retention);
  LoggedDecisions(LoggedDecisions&&) noexcept;
  ~LoggedDecisions();

  const LogId& id() const { return id_; }
  /// The node that opened it last.
  const std::string& node() const;
  /// As DecisionLog's: decisions of people included.
  LoggedState Find(const Gid& gid) const;
  bool IsForgotten(const Gid& gid) const;
  std::vector<HeuristicRecord> Heuristics() const;

 private:
  LoggedDecisions(const LogId& id, std::unique_ptr<LogState> state);
  LogId id_;
  std::unique_ptr<LogState> state_;
};

/// kInvalidArgument when the log in the folder `path` is of another node than `node`. Ok
/// when there is none, or when it cannot be read: whoever opens it is told why.
Status CheckNodeOfLog(FileSystem& files, const std::string& path, const std::string& node);

}  // namespace indoubt
