// What a run was measured on: env.json.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/workloads/shop.h"

namespace indoubt {

/// Machine, kernel, file system of `folder`, and a probe of its fdatasync (200
/// times 4 KiB). `binary` tells the commit that it was built from, if it lies in a
/// clone. Store versions and durability are null until AddStores.
nlohmann::json DescribeMachine(const std::string& folder, const std::string& binary);

/// Asks the three stores for versions and durability settings. SQLite's synchronous
/// is a connection's own: asked of one opened like the dual-write client's; the adapter
/// sets the same for its own when it opens the file.
Status AddStores(const StoreEndpoints& stores, nlohmann::json& env);

}  // namespace indoubt
