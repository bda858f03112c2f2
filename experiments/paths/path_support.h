// What several paths need: the participants over a cell's stores, their
// configuration file, and the wait for the last branch in doubt.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "experiments/paths/path.h"

namespace indoubt {

using Participants = std::vector<std::unique_ptr<Participant>>;

/// The adapters "accounts", "stock" and "ledger" over `stores`. With `last_resource`
/// accounts is one.
Result<Participants> MakeShopParticipants(const StoreEndpoints& stores,
                                          bool last_resource = false);

/// Preflight of each; kRefused names the first that cannot keep the promise.
Status PreflightAll(const Participants& participants, TimePoint deadline);

/// Writes the configuration of coordinator and CDC worker over `stores`. `cdc_name`
/// (of [a-z0-9_]) names slot, publication and views.
Status WriteShopConfig(const StoreEndpoints& stores, const std::string& path,
                       const std::string& listen, const std::string& cdc_name,
                       bool last_resource = false);

/// Waits until no participant lists a branch twice in a row. kDeadlineExceeded
/// says how many are left where.
Status AwaitNothingPrepared(const Participants& participants, TimePoint deadline);

std::unique_ptr<Path> MakeServicePath(const std::string& name);  // 2pc, raw-grpc, dual-write
std::unique_ptr<Path> MakeEmbeddedPath();                        // 2pc-embedded
std::unique_ptr<Path> MakeRawPath();                             // raw
std::unique_ptr<Path> MakeCdcPath();                             // cdc

}  // namespace indoubt
