// Puts the rooms together as a configuration says: participants, log, coordinator.
#pragma once

#include <memory>
#include <vector>

#include "cli/config.h"
#include "cli/termination.h"
#include "coordinator/control.h"
#include "coordinator/coordinator.h"

namespace indoubt::cli {

Result<std::unique_ptr<Participant>> MakeParticipant(const ParticipantOptions& options);
Result<std::vector<std::unique_ptr<Participant>>> MakeParticipants(const Config& config);

struct CoordinatorChoices {
  Duration lock_timeout{};       // how long to wait for the log's lock
  Duration recovery_interval{};  // 0: no recovery in the background
  /// Stops the wait for the log, which then fails as if the time were over.
  const Interruption* interruption = nullptr;
  /// With kLookOnly a missing log is not made, but kNotFound.
  EmptyLog empty_log = EmptyLog::kRefuse;
  /// As in CoordinatorOptions, of a coordinator of this process.
  Duration start_patience = CoordinatorOptions().start_patience;
  bool check_at_start = true;
};

/// The coordinator on a configuration's log: one of this process, or one that serves.
class Reached {
 public:
  explicit Reached(std::unique_ptr<Coordinator> own) : own_(std::move(own)) {}
  explicit Reached(std::unique_ptr<ControlClient> served) : served_(std::move(served)) {}

  Operations& operations() const;
  TransactionExecutor& executor() const;
  /// None when it is the one that serves.
  Coordinator* own() const { return own_.get(); }
  ControlClient* served() const { return served_.get(); }

 private:
  std::unique_ptr<Coordinator> own_;
  std::unique_ptr<ControlClient> served_;
};

/// Starts a coordinator, or, where a process that serves holds the log, asks that one
/// through its control socket. kLocked, with the holder's pid, when somebody held the log
/// for lock_timeout and answered nothing.
Result<Reached> ReachCoordinator(const Config& config, const CoordinatorChoices& choices);

/// Opens the log (kLocked names the process that holds it) and starts a
/// coordinator over all configured participants. Tells on stderr what EmptyLog::kAccept
/// came to.
Result<std::unique_ptr<Coordinator>> StartCoordinator(const Config& config,
                                                      const CoordinatorChoices& choices);

}  // namespace indoubt::cli
