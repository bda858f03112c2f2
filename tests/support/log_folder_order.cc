#include "tests/support/log_folder_order.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace indoubt::testing {
namespace {

using Events = std::vector<TraceEvent>;
using Kind = TraceEvent::Kind;
using Predicate = std::function<bool(const TraceEvent&)>;

const TraceEvent* First(const Events& events, const Predicate& wanted) {
  const auto found = std::find_if(events.begin(), events.end(), wanted);
  return found == events.end() ? nullptr : &*found;
}
const TraceEvent* Last(const Events& events, const Predicate& wanted) {
  const auto found = std::find_if(events.rbegin(), events.rend(), wanted);
  return found == events.rend() ? nullptr : &*found;
}

bool IsSegment(const std::string& path, const std::string& folder) {
  return path.starts_with(folder + "/segment-");
}

/// Whether a sync of `path` began after `from` and ended before `to`.
bool SyncedBetween(const Events& events, const std::string& path, const TraceEvent& from,
                   const TraceEvent& to) {
  return First(events, [&](const TraceEvent& event) {
           return event.kind == Kind::kSync && event.path == path && event.began > from.ended &&
                  event.ended < to.began;
         }) != nullptr;
}

}  // namespace

OrderReport CheckNewSegments(const Events& events, const std::string& folder) {
  OrderReport report;
  for (const TraceEvent& named : events) {
    if (named.kind != Kind::kRename || !IsSegment(named.path, folder)) continue;
    const TraceEvent* filled = Last(events, [&](const TraceEvent& event) {
      return event.kind == Kind::kWrite && event.path == named.bytes &&
             event.ended < named.began;
    });
    const TraceEvent* relied_on = First(events, [&](const TraceEvent& event) {
      const bool used = event.kind == Kind::kWrite && event.path == named.path;
      const bool replaced = event.kind == Kind::kRemove && IsSegment(event.path, folder);
      return (used || replaced) && event.began > named.ended;
    });
    if (relied_on == nullptr) continue;
    const bool file_synced =
        filled != nullptr && SyncedBetween(events, named.bytes, *filled, named);
    const bool folder_synced = SyncedBetween(events, folder, named, *relied_on);
    (file_synced && folder_synced ? report.held : report.violations)
        .push_back(fmt::format("{}: file {}synced, named by line {}, folder {}synced, relied "
                               "on from line {}",
                               named.path, file_synced ? "" : "not ", named.ended,
                               folder_synced ? "" : "not ", relied_on->began));
  }
  return report;
}

OrderReport CheckQuietLog(const Events& events, const std::string& folder,
                          const std::string& first) {
  OrderReport report;
  const TraceEvent* begin = First(events, [&](const TraceEvent& event) {
    return event.kind == Kind::kReceive && event.bytes.find(first) != std::string::npos;
  });
  if (begin == nullptr) {
    report.violations.push_back(fmt::format("\"{}\" never arrived", first));
    return report;
  }
  for (const TraceEvent& event : events) {
    const bool of_log = event.path == folder || event.path.starts_with(folder + "/");
    if (of_log && event.ended > begin->began) {
      report.violations.push_back(
          fmt::format("{} was touched, line {}", event.path, event.ended));
    }
  }
  if (report.violations.empty()) {
    report.held.push_back(fmt::format("{} untouched from line {} on", folder, begin->began));
  }
  return report;
}

}  // namespace indoubt::testing
