#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/report/decision.h"
#include "experiments/report/variation.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

/// What two paths are held against each other by. The figures differ where the paths pay
/// in different coin: one in writers that wait, the other in data that is old.
struct Contest {
  const char* what;
  const char* first;
  const char* second;
  bool time, lower_is_better;
};
constexpr std::array<Contest, 3> kContests{{
    {"response p99", "response_ms.p99", "response_ms.p99", true, true},
    {"throughput", "throughput_per_s", "throughput_per_s", false, false},
    {"longest wait (of outside writers on the one, for fresh data on the other)",
     "blocked_ms.max", "lag_ms.max", true, true},
}};

std::string Show(const Contest& contest, double value) {
  return contest.time ? DurationText(json(value)) : fmt::format("{:.0f} per s", value);
}

bool Apart(const VariedMark& a, const VariedMark& b) {
  return a.low && b.low && (*a.high < *b.low || *b.high < *a.low);
}

/// The marks of both at the values where both were measured.
std::vector<std::pair<VariedMark, VariedMark>> Shared(const std::vector<VariedMark>& a,
                                                      const std::vector<VariedMark>& b) {
  std::vector<std::pair<VariedMark, VariedMark>> shared;
  for (const VariedMark& mark : a) {
    const auto other = std::find_if(b.begin(), b.end(),
                                    [&](const VariedMark& each) { return each.x == mark.x; });
    if (other != b.end()) shared.emplace_back(mark, *other);
  }
  return shared;
}

struct Pair {
  std::string first, second;
  std::vector<std::pair<VariedMark, VariedMark>> marks;
};

/// Every two paths that have both marks. A figure held against itself pairs each two once.
std::vector<Pair> PairsOf(const json& summary, const std::string& key, const Contest& contest) {
  const VariedSeries first = SeriesOf(summary, key, contest.first);
  const VariedSeries second = SeriesOf(summary, key, contest.second);
  const bool same = std::string(contest.first) == contest.second;
  std::vector<Pair> pairs;
  for (const auto& [name, marks] : first) {
    for (const auto& [other, other_marks] : second) {
      if (name == other || (same && other < name)) continue;
      auto shared = Shared(marks, other_marks);
      if (shared.size() >= 2) pairs.push_back({name, other, std::move(shared)});
    }
  }
  return pairs;
}

void AddCrossings(const Pair& pair, const VariedParameter& parameter, const Contest& contest,
                  std::vector<std::string>& flips) {
  for (size_t i = 1; i < pair.marks.size(); ++i) {
    const auto& [a, b] = pair.marks[i - 1];
    const auto& [next_a, next_b] = pair.marks[i];
    if ((a.y - b.y) * (next_a.y - next_b.y) >= 0) continue;
    const bool first_better = (a.y < b.y) == contest.lower_is_better;
    flips.push_back(fmt::format(
        "{} between {} and {}{}: by {}, {} is better below ({} against {}), {} above ({} "
        "against "
        "{}). {}",
        parameter.key, fmt::format("{:g}", a.x), fmt::format("{:g}", next_a.x),
        parameter.unit.empty() ? "" : " " + parameter.unit, contest.what,
        first_better ? pair.first : pair.second, Show(contest, first_better ? a.y : b.y),
        Show(contest, first_better ? b.y : a.y), first_better ? pair.second : pair.first,
        Show(contest, first_better ? next_b.y : next_a.y),
        Show(contest, first_better ? next_a.y : next_b.y),
        Apart(a, b) && Apart(next_a, next_b)
            ? "The intervals are apart on both sides."
            : "Medians only: the intervals overlap, or the repetitions were too few for any."));
  }
}

}  // namespace

std::vector<std::string> Flips(const json& summary) {
  std::vector<std::string> flips;
  std::vector<std::string> looked;
  for (const VariedParameter& parameter : VariedParameters(summary)) {
    size_t pairs = 0;
    for (const Contest& contest : kContests) {
      for (const Pair& pair : PairsOf(summary, parameter.key, contest)) {
        ++pairs;
        AddCrossings(pair, parameter, contest, flips);
      }
    }
    if (pairs > 0) looked.push_back(parameter.key);
  }
  if (!flips.empty()) return flips;
  if (!looked.empty()) {
    return {
        fmt::format("Not observed: over all values of {} no two paths changed places by "
                    "response p99, throughput or longest wait.",
                    fmt::join(looked, " and "))};
  }
  return {
      "Not observed: this run varied nothing that could turn the answer. Scenarios that do: "
      "hot-keys (skew of keys), scaling (clients), coordinator-slow-restart (outage)."};
}

}  // namespace indoubt
