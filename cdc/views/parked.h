// Events that a view could not take: set aside with their position and the reason, so that
// the view goes on. What touches a row of a parked event is parked behind it, for the row's
// changes must stay in order. Private to this room.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "cdc/event_log.h"
#include "cdc/view.h"

namespace indoubt::cdc_internal {

/// More than this is no odd event but a view that cannot go on.
inline constexpr size_t kMaxParked = 10'000;

/// Names of the rows that `event` touches, "<oid>:<key>" (a long key's checksum), or "<oid>"
/// for a whole table: a truncated one, one with more rows than are worth naming, or one whose
/// rows cannot be read.
std::vector<std::string> RowsOf(const LoggedEvent& event);

/// What `event` becomes when it is set aside.
ParkedEvent Park(const LoggedEvent& event, std::string reason);

/// How a sink stores it: serialised events.ParkedEvent.
std::string Serialize(const ParkedEvent& event);
/// kCorrupt for bytes that Serialize cannot give.
Result<ParkedEvent> ParseParked(const std::string& bytes);

/// The rows that are held up, of one view. Belongs to one thread.
class ParkedRows {
 public:
  void Add(const ParkedEvent& event);
  void Clear() { rows_.clear(); }
  bool Touches(const std::vector<std::string>& rows) const;

 private:
  std::multiset<std::string> rows_;
};

}  // namespace indoubt::cdc_internal
