// Where a rebuild keeps the new version of a view beside the old one, and how the one takes the
// other's place. Private to this room.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cdc/view.h"
#include "cdc/worker.h"

namespace indoubt::cdc_internal {

struct VersionsCompared {
  uint64_t entries = 0;                // rows or keys of the new version
  std::vector<std::string> differing;  // the first, for a person; empty: equal
};

/// Brings the new version at least to a position and returns what it then shows.
using CatchUp = std::function<Result<ViewPosition>(EventPosition at_least)>;

/// Belongs to one thread.
class RebuildSink {
 public:
  virtual ~RebuildSink() = default;
  /// Takes the places for both versions, empty: what an earlier rebuild left is removed.
  virtual Status Prepare() = 0;
  /// The view as it is derived anew, and as the source's rows alone make it, for comparison;
  /// each is a view of its own in a place of its own. After Prepare.
  virtual ViewOptions NewVersion() const = 0;
  virtual ViewOptions Proof() const = 0;
  /// Reads both whole.
  virtual Result<VersionsCompared> Compare() = 0;
  /// Puts the new version in the old one's place: data, position, and nothing parked, in one
  /// atomic durable write, in which the old one's worker cannot be in between. `log_id` is
  /// that of the new version. Returns the position.
  virtual Result<ViewPosition> Swap(const std::string& log_id, const CatchUp& catch_up) = 0;
  /// Removes both versions' places.
  virtual Status Remove() = 0;
};

/// `scratch` is a path that is this rebuild's own, to which suffixes are added.
std::unique_ptr<RebuildSink> MakeSqliteRebuildSink(const ViewOptions& view,
                                                   const std::string& scratch);
/// `tables`: the source's, without schema. `patience`: for another's hold.
std::unique_ptr<RebuildSink> MakeRedisRebuildSink(const ViewOptions& view,
                                                  std::vector<std::string> tables,
                                                  Duration patience);

}  // namespace indoubt::cdc_internal
