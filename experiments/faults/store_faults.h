// Faults of a store, or of the way to it.
#pragma once

#include <memory>
#include <string>

#include "experiments/faults/fault.h"

namespace indoubt {

/// kInvalidArgument when the server is not ours.
Result<std::unique_ptr<Fault>> MakeStoreKill(const std::string& store, LabStores& stores);
/// All connections fall silent, and new ones are turned away. `stores` has the proxy.
std::unique_ptr<Fault> MakeStorePartition(const std::string& store, LabStores& stores);
/// Each way takes `latency` longer, and up to `jitter` more.
std::unique_ptr<Fault> MakeStoreSlow(const std::string& store, Duration latency,
                                     Duration jitter, LabStores& stores);
/// Another program's transaction has prepared at accounts, and nobody says how it ends. It has
/// written to a table of its own, so that it is in nobody's way but that of slots.
std::unique_ptr<Fault> MakeInDoubt(LabStores& stores);
/// Another program's write transaction stays open on the SQLite file.
std::unique_ptr<Fault> MakeStoreLock(LabStores& stores);

}  // namespace indoubt
