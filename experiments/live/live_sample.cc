#include "experiments/live/live_sample.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

namespace indoubt {
namespace {

using nlohmann::json;

/// To the millisecond, or a thousandth of whatever it is: nobody sees more.
json Rounded(const std::optional<double>& value) {
  return value ? json(std::round(*value * 1000) / 1000) : json();
}

json Seconds(Duration duration) {
  return Rounded(std::chrono::duration<double>(duration).count());
}

json Process(const std::optional<HandOffer>& offer) {
  if (!offer) return {};
  const auto reason = [](const std::string& why) { return why.empty() ? json() : json(why); };
  return {{"name", reason(offer->target)},
          {"kill", reason(offer->kill_refused)},
          {"restart", reason(offer->restart_refused)}};
}

void AddObserved(const Observed& observed, json& sample) {
  if (observed.in_doubt) {
    sample["in_doubt"] = *observed.in_doubt;
    sample["oldest_s"] = Seconds(observed.in_doubt_oldest);
  }
  sample["waiters"] = observed.waiters;
  for (const auto& [store, behind] : observed.lag) sample["lag_s"][store] = Seconds(behind);
  if (observed.unconfirmed_bytes) sample["lag_bytes"] = *observed.unconfirmed_bytes;
}

}  // namespace

json LiveSample(int64_t seq, const RunProgress& progress, const ProgressRate::Rates& rates) {
  json sample = {{"seq", seq},
                 {"elapsed_s", Rounded(progress.elapsed_s)},
                 {"cell", progress.cell},
                 {"path", progress.path},
                 {"rep", progress.rep},
                 {"reps", progress.reps},
                 {"done", progress.done},
                 {"total", progress.total},
                 {"phase", progress.phase},
                 {"since_s", Rounded(progress.since_s)},
                 {"left_s", Rounded(progress.left_s)},
                 {"committed", progress.observed ? json(progress.committed) : json()},
                 {"committed_per_s", Rounded(rates.committed_per_s)},
                 {"errors_per_s", Rounded(rates.errors_per_s)},
                 {"in_flight", progress.observed ? json(progress.in_flight) : json()},
                 {"in_doubt", nullptr},
                 {"oldest_s", nullptr},
                 {"waiters", nullptr},
                 {"lag_s", json::object()},
                 {"lag_bytes", nullptr},
                 {"fault", progress.fault},
                 {"process", Process(progress.by_hand)}};
  if (progress.observed) AddObserved(*progress.observed, sample);
  return sample;
}

}  // namespace indoubt
