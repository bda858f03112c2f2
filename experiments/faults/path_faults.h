// Faults of a path's own process.
#pragma once

#include <memory>
#include <string>

#include "experiments/faults/fault.h"

namespace indoubt {

/// Dies by SIGKILL when it next comes to `point`, which was armed at the path's start.
std::unique_ptr<Fault> MakeKillFault(Path& path, std::string point);
/// Stands still from SIGSTOP to SIGCONT.
std::unique_ptr<Fault> MakePauseFault(Path& path);

}  // namespace indoubt
