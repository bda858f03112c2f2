// What is left in the stores when a repetition is over: nothing should be.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Counts prepared branches, intents, locks and staged rows: rep.json's
/// `final.leftovers`.
Result<nlohmann::json> CountLeftovers(const StoreEndpoints& stores);

/// The keys that an outside writer could not write at once, e.g. "account:3".
Result<std::vector<std::string>> FindUnwritable(const StoreEndpoints& stores);

/// rep.json's `final` but for `recovery_idempotent`.
nlohmann::json ToJson(const FinalComparison& comparison);

}  // namespace indoubt
