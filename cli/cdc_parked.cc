// indoubt cdc parked, retry: the events that a view could not take.
#include <thread>

#include <fmt/format.h>

#include "cli/cdc_verbs.h"
#include "cli/output.h"

namespace indoubt::cli {
namespace {

Json ToJson(const std::vector<ParkedReport>& parked) {
  Json events = Json::array();
  for (const ParkedReport& event : parked) {
    events.push_back({{"lsn", event.position.lsn.ToString()},
                      {"ordinal", event.position.ordinal},
                      {"reason", event.reason}});
  }
  return events;
}

void PrintLines(const std::string& view, const std::vector<ParkedReport>& parked) {
  PrintLine(fmt::format("view    {}: {} parked", view, parked.size()));
  for (const ParkedReport& event : parked) {
    PrintLine(fmt::format("  {}/{}  {}", event.position.lsn.ToString(), event.position.ordinal,
                          event.reason));
  }
}

}  // namespace

int ListParked(const std::string& config, bool json) {
  const auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error(), json);
  Json views = Json::array();
  for (const ViewOptions& view : loaded->options.views) {
    const auto parked = ReadParkedEvents(view);
    if (!parked) return Fail(parked.error().WithContext("view " + view.name), json);
    views.push_back({{"view", view.name}, {"parked", ToJson(*parked)}});
    if (!json) PrintLines(view.name, *parked);
  }
  if (json) PrintJson({{"views", views}});
  return kDone;
}

int RetryParked(const std::string& config, const std::string& name, Duration timeout,
                bool json) {
  auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error(), json);
  LimitSinkPatience(loaded->options, timeout);
  const auto view = FindView(loaded->options, name);
  if (!view) return Fail(view.error(), json);
  const auto before = ReadParkedEvents(*view);
  if (!before) return Fail(before.error().WithContext("view " + name), json);
  if (!before->empty()) {
    if (const Status asked = AskForRetry(*view); !asked.ok()) return Fail(asked, json);
  }
  const TimePoint deadline = SystemClock().Now() + timeout;
  for (bool pending = !before->empty(); pending;) {
    const auto still = RetryIsPending(*view);
    if (!still) return Fail(still.error().WithContext("view " + name), json);
    pending = *still;
    if (pending && SystemClock().Now() >= deadline) {
      return Fail(Status(StatusCode::kUnavailable,
                         fmt::format("view {}: no worker has tried yet; one that runs, or the "
                                     "next to start (indoubt cdc run), will",
                                     name)),
                  json);
    }
    // Only the sink knows, in another process: there is nothing to be woken by.
    if (pending) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const auto left = ReadParkedEvents(*view);
  if (!left) return Fail(left.error().WithContext("view " + name), json);
  const size_t applied = before->size() > left->size() ? before->size() - left->size() : 0;
  if (json) {
    PrintJson({{"view", name}, {"applied", applied}, {"parked", ToJson(*left)}});
  } else {
    PrintLine(fmt::format("applied {}", applied));
    PrintLines(name, *left);
  }
  return left->empty() ? kDone : kEnvironment;
}

}  // namespace indoubt::cli
