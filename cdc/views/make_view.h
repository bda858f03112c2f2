// A view of the kind that its options name. Private to this room.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

/// Not open yet. Errors as MakeRedisView, MakeSqliteView and MakeSearchView.
Result<std::unique_ptr<View>> MakeView(const ViewOptions& options);

/// "orders" of "shop.orders", for each: the names that views know.
std::vector<std::string> BareNames(const std::vector<std::string>& tables);

}  // namespace indoubt::cdc_internal
