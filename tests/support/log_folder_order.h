// What a coordinator's trace says of the decision log's folder: new segments, and the
// transactions that must leave the log alone.
#pragma once

#include <string>
#include <vector>

#include "tests/support/sync_order.h"
#include "tests/support/trace_events.h"

namespace indoubt::testing {

/// Every segment that the decision log took into use in `folder`: filled, synced and only
/// then renamed, and the folder synced before a group is written to it or another segment
/// removed. A segment that nothing relied on is left out.
OrderReport CheckNewSegments(const std::vector<TraceEvent>& events, const std::string& folder);

/// Whatever is written, synced, renamed or removed of the log in `folder` once the bytes
/// `first` had arrived over a socket is a violation, and so is that they never did.
OrderReport CheckQuietLog(const std::vector<TraceEvent>& events, const std::string& folder,
                          const std::string& first);

}  // namespace indoubt::testing
