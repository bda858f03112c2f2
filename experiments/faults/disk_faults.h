// Faults of a disk: that of the path's own log, or that of a store.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "experiments/faults/fault.h"

namespace indoubt {

/// "disk-full", "disk-error", "disk-slow".
bool IsDiskFault(std::string_view kind);

/// Why the path has no counterpart of such a fault, for people; empty: it has.
std::string WhyNoDiskFault(const FaultPlan& plan, const Path& path);

/// One that applies. `stores` has the disk (FaultyDiskOwner). Healing starts again who ended
/// for it: a coordinator, whose log stops for good after a failed write or sync; a server.
std::unique_ptr<Fault> MakeDiskFault(const FaultPlan& plan, Path& path, LabStores& stores);

}  // namespace indoubt
