#include "experiments/event_record.h"

#include <array>
#include <utility>

namespace indoubt {
namespace {

using nlohmann::json;

// A field of a fault, and the event that it is the time of.
constexpr std::array<std::pair<const char*, const char*>, 3> kFaultEvents{
    {{"requested_at_ns", "fault_requested"},
     {"observed_at_ns", "fault_observed"},
     {"healed_at_ns", "fault_healed"}}};

}  // namespace

Result<std::unique_ptr<EventRecord>> EventRecord::Create(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(auto file, NdjsonFile::Create(path));
  return std::unique_ptr<EventRecord>(new EventRecord(std::move(file)));
}

void EventRecord::Phase(const std::string& phase, TimePoint at) {
  if (phase == phase_) return;
  phase_ = phase;
  file_->Write(
      {{"at_ns", at.time_since_epoch().count()}, {"event", "phase"}, {"phase", phase}});
}

void EventRecord::Faults(const json& faults) {
  for (const json& fault : faults) {
    for (const auto& [field, event] : kFaultEvents) {
      const json& at = fault.at(field);
      if (at.is_null()) continue;
      const json line{{"at_ns", at},
                      {"event", event},
                      {"kind", fault.at("kind")},
                      {"target", fault.at("target")},
                      {"point", fault.at("point")},
                      {"by_hand", fault.at("by_hand")}};
      if (written_.insert(line.dump()).second) file_->Write(line);
    }
  }
}

}  // namespace indoubt
