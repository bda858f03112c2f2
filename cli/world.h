// Puts the rooms together as a configuration says: participants, log, coordinator.
#pragma once

#include <memory>
#include <vector>

#include "cli/config.h"
#include "coordinator/coordinator.h"

namespace indoubt::cli {

Result<std::unique_ptr<Participant>> MakeParticipant(const ParticipantOptions& options);
Result<std::vector<std::unique_ptr<Participant>>> MakeParticipants(const Config& config);

struct CoordinatorChoices {
  Duration lock_timeout{};       // how long to wait for the log's lock
  Duration recovery_interval{};  // 0: no recovery in the background
  /// With kLookOnly a missing log is not made, but kNotFound.
  EmptyLog empty_log = EmptyLog::kRefuse;
};

/// Opens the log (kLocked names the process that holds it) and starts a
/// coordinator over all configured participants. Tells on stderr what EmptyLog::kAccept
/// came to.
Result<std::unique_ptr<Coordinator>> StartCoordinator(const Config& config,
                                                      const CoordinatorChoices& choices);

}  // namespace indoubt::cli
