#include "experiments/summary/warnings.h"

#include <algorithm>

#include <fmt/format.h>

namespace indoubt {
namespace {

using nlohmann::json;

// Below this no storage has made anything durable: it is a memory or lies.
constexpr double kLeastSyncMicros = 20;
// The observer writes a line every 100 ms.
constexpr int64_t kObserverGapNs = 500'000'000;

void AddObserverGaps(const std::string& label, const RepRecords& records,
                     std::vector<std::string>& warnings) {
  if (!records.timeline || records.timeline->empty()) {
    warnings.push_back(label + ": the observer left no timeline");
    return;
  }
  int64_t gaps = 0;
  int64_t longest = 0;
  for (size_t i = 1; i < records.timeline->size(); ++i) {
    const int64_t gap = (*records.timeline)[i].t_ns - (*records.timeline)[i - 1].t_ns;
    if (gap > kObserverGapNs) ++gaps;
    longest = std::max(longest, gap);
  }
  if (gaps > 0) {
    warnings.push_back(fmt::format(
        "{}: observer gaps: nothing was seen for more than 500 ms {} time(s), {:.1f} s at "
        "longest; short in-doubt times there are not in the figures",
        label, gaps, static_cast<double>(longest) / 1e9));
  }
}

std::string ByHandWarning(const std::string& label, const json& rep) {
  std::string what;
  for (const json& fault : rep.at("faults")) {
    if (fault.at("by_hand") == false) continue;
    what += fmt::format(
        "{}{} {} at {:.1f} s", what.empty() ? "" : ", ", fault.at("kind").get<std::string>(),
        fault.at("target").get<std::string>(), fault.at("requested_at").get<double>() / 1000);
  }
  return fmt::format(
      "{}: disturbed by hand ({}): it is in no median, interval or pooled chart, and as "
      "somebody chose the moment the run is no evidence",
      label, what);
}

void AddFaults(const std::string& label, const json& rep, std::vector<std::string>& warnings) {
  for (const json& fault : rep.at("faults")) {
    const std::string what =
        fmt::format("{}: the fault '{} {}'", label, fault.at("kind").get<std::string>(),
                    fault.at("target").get<std::string>());
    if (fault.at("observed_at").is_null()) {
      warnings.push_back(what + " was asked for and never seen to happen");
    } else if (fault.at("healed_at").is_null()) {
      warnings.push_back(what + " was never healed");
    }
  }
}

}  // namespace

std::optional<std::string> VoidReason(const json& env) {
  if (!env.is_object()) return std::nullopt;
  const json micros = env.value(json::json_pointer("/fdatasync_us/p50"), json());
  if (micros.is_number() && micros.get<double>() < kLeastSyncMicros) {
    return fmt::format(
        "a measured fdatasync of {:.1f} us (under 20 us) voids the verdict: "
        "this storage makes nothing durable; use a folder on a real disk",
        micros.get<double>());
  }
  if (env.value("filesystem", json()) == "tmpfs") {
    return "the stores' folders are on tmpfs, which voids the verdict: nothing there is "
           "durable; use a folder on a real disk";
  }
  return std::nullopt;
}

bool LoadFellBehind(const json& rep) {
  const json& attempted = rep.at("attempted");
  const json& dropped = rep.at("dropped_undisturbed");
  return attempted.is_number() && dropped.is_number() &&
         dropped.get<double>() > 0.01 * attempted.get<double>();
}

std::vector<std::string> RunWarnings(const RunRecords& run) {
  std::vector<std::string> warnings = run.run.value("warnings", std::vector<std::string>());
  if (run.run.at("status") == "interrupted") {
    warnings.emplace_back(
        "the run was stopped before its end: what it lacks is in no figure; `indoubt run "
        "--resume` with its folder completes it");
  }
  if (const auto reason = VoidReason(run.env)) warnings.push_back(*reason);
  if (run.env.is_null()) {
    warnings.emplace_back("no env.json: machine, versions and durability are not known");
    return warnings;
  }
  if (!run.env.value(json::json_pointer("/fdatasync_us/p50"), json()).is_number()) {
    warnings.emplace_back(
        "fdatasync was not measured: whether writes were durable is not known");
  }
  const json build = run.env.value("build", json());
  if (build.is_string() && build != "release") {
    warnings.push_back("the build is '" + build.get<std::string>() +
                       "', not release: its times are not indoubt's");
  }
  return warnings;
}

std::vector<std::string> RepWarnings(const std::string& label, const json& rep,
                                     const RepRecords& records) {
  std::vector<std::string> warnings;
  if (!rep.at("error").is_null()) {
    warnings.push_back(label + ": " + rep.at("error").get<std::string>());
  }
  for (const std::string& name : records.cut_off) {
    warnings.push_back(
        fmt::format("{}: the last line of {} was cut off and left out", label, name));
  }
  if (records.rep.is_null()) {
    warnings.push_back(label + ": it did not reach its end; its figures are missing");
    return warnings;
  }
  if (LoadFellBehind(rep)) {
    warnings.push_back(fmt::format(
        "{}: the load fell behind: {} of {} operations were dropped at the bound of operations "
        "in flight (more than 1 percent) while nothing was broken; its response times are too "
        "good",
        label, rep.at("dropped_undisturbed").get<int64_t>(),
        rep.at("attempted").get<int64_t>()));
  }
  if (rep.at("inconsistent").at("permanent").is_null()) {
    warnings.push_back(label + ": the stores were not compared at the end");
  }
  if (rep.at("recovery_idempotent") == false) {
    warnings.push_back(label + ": a second recovery found something to do");
  }
  if (rep.at("status") == "disturbed") warnings.push_back(ByHandWarning(label, rep));
  AddFaults(label, rep, warnings);
  AddObserverGaps(label, records, warnings);
  return warnings;
}

}  // namespace indoubt
