// Holds each event's shapes against the log's schema history before a view sees it.
// Private to this room.
#pragma once

#include <map>

#include "cdc/event_log.h"
#include "cdc/schema_rule.h"

namespace indoubt::cdc_internal {

/// Belongs to one thread; for events in the log's order, from wherever the view is.
class SchemaGuard {
 public:
  SchemaGuard(NeededColumns needs, SchemaRule rule) : needs_(std::move(needs)), rule_(rule) {}

  /// Ok when the view may see `event`, the next one. kUnsupported as CheckShapeChange.
  Status Check(const LoggedEvent& event, EventLogReader& reader);
  /// The view begins somewhere else.
  void Forget() {
    shapes_.clear();
    admitted_ = 0;
  }

 private:
  Status CheckShape(const events::Relation& shape, const LoggedEvent& event,
                    EventLogReader& reader);

  const NeededColumns needs_;
  const SchemaRule rule_;
  std::map<uint32_t, events::Relation> shapes_;  // as the view last saw them
  uint64_t admitted_ = 0;                        // the number of one of them; 0: none is known
};

}  // namespace indoubt::cdc_internal
