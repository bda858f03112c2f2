// A view of the kind that its options name. Private to this room.
#pragma once

#include <memory>

#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

/// Not open yet. Errors as MakeRedisView, MakeSqliteView and MakeSearchView.
Result<std::unique_ptr<View>> MakeView(const ViewOptions& options);

}  // namespace indoubt::cdc_internal
