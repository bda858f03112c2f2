#include "experiments/summary/figures.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "experiments/summary/derived_figures.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

double Milliseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

/// The times of rep.json that figures need.
struct Phases {
  int64_t measure_from = 0, measure_to = 0, drained = 0;
};

json Counts(const std::vector<OperationRecord>& operations) {
  std::map<OperationOutcome, int64_t> counts;
  int64_t attempted = 0;
  for (const OperationRecord& operation : operations) {
    if (!operation.measured) continue;
    ++attempted;
    ++counts[operation.outcome];
  }
  return {{"attempted", attempted},
          {"committed", counts[OperationOutcome::kCommitted]},
          {"rolled_back", counts[OperationOutcome::kRolledBack]},
          {"failed", counts[OperationOutcome::kFailed]},
          {"unknown", counts[OperationOutcome::kUnknown]},
          {"dropped", counts[OperationOutcome::kDropped]},
          {"censored", counts[OperationOutcome::kCensored]}};
}

/// From the moment that the first fault was seen to act to the last one's healing.
struct Outage {
  int64_t begin = 0, end = 0;
};

/// None when a fault never acted or was not healed.
std::optional<Outage> OutageOf(const json& faults) {
  std::optional<Outage> outage;
  for (const json& fault : faults) {
    const json& observed = fault.at("observed_at_ns");
    const json& healed = fault.at("healed_at_ns");
    if (observed.is_null() || healed.is_null()) return std::nullopt;
    if (!outage) outage = Outage{observed.get<int64_t>(), healed.get<int64_t>()};
    outage->begin = std::min(outage->begin, observed.get<int64_t>());
    outage->end = std::max(outage->end, healed.get<int64_t>());
  }
  return outage;
}

/// Dropped while nothing was broken, nor had been for as long as it was: then it is the load
/// generator, or the rate, that was too much. While something is broken operations hang, and
/// that those after them find no place is what the fault costs.
int64_t DroppedUndisturbed(const std::vector<OperationRecord>& operations,
                           const std::optional<Outage>& outage) {
  return std::count_if(
      operations.begin(), operations.end(), [&](const OperationRecord& operation) {
        const int64_t at = operation.intended_ns;
        const bool disturbed =
            outage && at >= outage->begin && at < 2 * outage->end - outage->begin;
        return operation.measured && operation.outcome == OperationOutcome::kDropped &&
               !disturbed;
      });
}

json Throughput(const std::vector<OperationRecord>& operations, const Phases& phases) {
  const int64_t span = phases.measure_to - phases.measure_from;
  if (span <= 0) return json();
  const auto inside = std::count_if(
      operations.begin(), operations.end(), [&](const OperationRecord& operation) {
        return operation.measured && operation.outcome == OperationOutcome::kCommitted &&
               *operation.ended_ns >= phases.measure_from &&
               *operation.ended_ns < phases.measure_to;
      });
  return static_cast<double>(inside) / (static_cast<double>(span) / 1e9);
}

/// An operation without an answer counts with the time it has waited so far:
/// leaving it out would flatter exactly the path that hangs.
json Latency(const std::vector<OperationRecord>& operations, const Phases& phases,
             bool from_start) {
  std::vector<double> values;
  for (const OperationRecord& operation : operations) {
    if (!operation.measured || operation.outcome == OperationOutcome::kFailed ||
        operation.outcome == OperationOutcome::kDropped) {
      continue;
    }
    if (from_start && !operation.started_ns) continue;
    const int64_t begin = from_start ? *operation.started_ns : operation.intended_ns;
    values.push_back(Milliseconds(operation.ended_ns.value_or(phases.drained) - begin));
  }
  return DistributionJson(std::move(values));
}

json InDoubt(const std::vector<InDoubtRecord>& records) {
  std::vector<double> values;
  values.reserve(records.size());
  for (const InDoubtRecord& record : records) {
    values.push_back(Milliseconds(record.last_seen_ns - record.first_seen_ns));
  }
  return DistributionJson(std::move(values));
}

std::vector<double> BlockedTimes(const std::vector<BlockedRecord>& records,
                                 const Phases& phases) {
  std::vector<double> values;
  values.reserve(records.size());
  for (const BlockedRecord& record : records) {
    values.push_back(
        Milliseconds(record.ended_ns.value_or(phases.drained) - record.started_ns));
  }
  return values;
}

json Lag(const std::vector<LagRecord>& records, const Phases& phases) {
  std::vector<double> all;
  std::map<std::string, std::vector<double>> by_store;
  for (const LagRecord& record : records) {
    // An order can be seen before its commit was acknowledged: no lag at all.
    const double lag = std::max(
        0.0, Milliseconds(record.visible_ns.value_or(phases.drained) - record.committed_ns));
    all.push_back(lag);
    by_store[record.store].push_back(lag);
  }
  json result = DistributionJson(std::move(all));
  result["by_store"] = json::object();
  for (auto& [store, values] : by_store) {
    result["by_store"][store] = DistributionJson(std::move(values));
  }
  return result;
}

/// The lag of orders committed before the outage and after it, and how long the
/// derived stores needed after it for what had been committed until then.
void AddLagAroundOutage(const std::vector<LagRecord>& records, const Outage& outage,
                        const Phases& phases, json& figures) {
  std::vector<LagRecord> before, after;
  int64_t caught_up = outage.end;
  for (const LagRecord& record : records) {
    const int64_t committed = record.committed_ns;
    if (committed >= phases.measure_from && committed < outage.begin) before.push_back(record);
    if (committed >= outage.end && committed < phases.measure_to) after.push_back(record);
    if (committed < outage.end) {
      caught_up = std::max(caught_up, record.visible_ns.value_or(phases.drained));
    }
  }
  figures["lag_before_fault_ms"] = Lag(before, phases);
  figures["lag_after_heal_ms"] = Lag(after, phases);
  figures["catch_up_ms"] = Milliseconds(caught_up - outage.end);
}

json Length(const json& final, const char* key) {
  if (!final.is_object() || !final.contains(key) || final.at(key).is_null()) return json();
  return final.at(key).size();
}

json Leftovers(const json& final) {
  if (!final.is_object() || !final.contains("leftovers")) return json();
  std::optional<int64_t> sum;
  for (const auto& [name, count] : final.at("leftovers").items()) {
    if (count.is_number()) sum = sum.value_or(0) + count.get<int64_t>();
  }
  return sum ? json(*sum) : json();
}

json Transient(const RepRecords& records, const json& final) {
  if (!records.reads || !final.is_object()) return json();
  std::set<std::string> permanent;
  for (const json& entry : final.at("inconsistent")) {
    permanent.insert(entry.at("key").get<std::string>());
  }
  std::set<int64_t> orders;
  for (const ReadRecord& read : *records.reads) {
    if (read.fractured && !permanent.contains("order:" + std::to_string(read.order))) {
      orders.insert(read.order);
    }
  }
  return orders.size();
}

json Faults(const json& rep, const Phases& phases) {
  json faults = json::array();
  for (const json& fault : rep.at("faults")) {
    // Milliseconds from the start of the measured span.
    const auto when = [&](const char* key) {
      const json& at = fault.at(key);
      return at.is_null() ? json()
                          : json(Milliseconds(at.get<int64_t>() - phases.measure_from));
    };
    faults.push_back({{"kind", fault.at("kind")},
                      {"target", fault.at("target")},
                      {"point", fault.at("point")},
                      {"by_hand", fault.value("by_hand", false)},
                      {"requested_at", when("requested_at_ns")},
                      {"observed_at", when("observed_at_ns")},
                      {"healed_at", when("healed_at_ns")}});
  }
  return faults;
}

json EmptyFigures() {
  json figures = json::object();
  for (const FigureName& figure : AllFigures()) {
    figures[FigurePointer(figure.name)] = nullptr;
  }
  figures["faults"] = json::array();
  figures["retained_wal_series"] = nullptr;
  figures["not_applicable"] = nullptr;
  return figures;
}

void AddObserved(const std::string& path, const RepRecords& records, const Phases& phases,
                 json& figures) {
  if (records.in_doubt && HasTwoPhaseCommit(path)) {
    figures["in_doubt_ms"] = InDoubt(*records.in_doubt);
  }
  if (records.blocked) {
    std::vector<double> blocked = BlockedTimes(*records.blocked, phases);
    figures["blocked_over_100ms"] = std::count_if(
        blocked.begin(), blocked.end(), [](double milliseconds) { return milliseconds > 100; });
    figures["blocked_ms"] = DistributionJson(std::move(blocked));
  }
  if (records.lag) {
    figures["lag_ms"] = Lag(*records.lag, phases);
    if (const auto outage = OutageOf(records.rep.at("faults"))) {
      AddLagAroundOutage(*records.lag, *outage, phases, figures);
    }
  }
  if (records.reads) {
    figures["reads"] = records.reads->size();
    figures["fractured_reads"] =
        std::count_if(records.reads->begin(), records.reads->end(),
                      [](const ReadRecord& read) { return read.fractured; });
  }
}

json Figures(const std::string& path, const RepRecords& records) {
  json figures = EmptyFigures();
  // Without its end a repetition has no span and no time up to which to censor.
  if (records.rep.is_null()) return figures;
  const Phases phases{records.rep.at("measure_from_ns").get<int64_t>(),
                      records.rep.at("measure_to_ns").get<int64_t>(),
                      records.rep.at("drained_ns").get<int64_t>()};
  if (records.operations) {
    figures.update(Counts(*records.operations));
    figures["dropped_undisturbed"] =
        DroppedUndisturbed(*records.operations, OutageOf(records.rep.at("faults")));
    figures["throughput_per_s"] = Throughput(*records.operations, phases);
    figures["response_ms"] = Latency(*records.operations, phases, /*from_start=*/false);
    figures["service_ms"] = Latency(*records.operations, phases, /*from_start=*/true);
  }
  AddObserved(path, records, phases, figures);
  AddDerivedFigures(records, phases.measure_from, phases.drained, figures);
  const json final = records.rep.value("final", json());
  figures["inconsistent"] = {{"transient", Transient(records, final)},
                             {"permanent", Length(final, "inconsistent")}};
  for (const char* name : {"lost_acknowledged", "resurrected", "unwritable"}) {
    figures[name] = Length(final, name);
  }
  figures["leftovers"] = Leftovers(final);
  if (final.is_object())
    figures["recovery_idempotent"] = final.value("recovery_idempotent", json());
  figures["faults"] = Faults(records.rep, phases);
  figures["not_applicable"] = records.rep.value("not_applicable", json());
  return figures;
}

void Flatten(const json& value, const std::string& prefix,
             std::vector<std::pair<std::string, double>>& out) {
  for (const auto& [name, child] : value.items()) {
    const std::string path = prefix.empty() ? name : fmt::format("{}.{}", prefix, name);
    if (child.is_number()) out.emplace_back(path, child.get<double>());
    if (child.is_object()) Flatten(child, path, out);
  }
}

}  // namespace

bool HasTwoPhaseCommit(const std::string& path) {
  return path != "cdc" && path != "dual-write";
}

bool CountsOverRepetitions(const json& status) {
  return status != "interrupted" && status != "disturbed";
}

Result<json> RepFigures(const std::string& path, const RepRecords& records) {
  try {
    return Figures(path, records);
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  std::string("rep.json is not as docs/run-format.md says: ") + error.what());
  }
}

std::vector<std::pair<std::string, double>> FlatFigures(const json& figures) {
  std::vector<std::pair<std::string, double>> flat;
  Flatten(figures, "", flat);
  return flat;
}

}  // namespace indoubt
