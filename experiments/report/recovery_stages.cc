#include "experiments/report/recovery_stages.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace indoubt {
namespace {

struct Outage {
  int64_t acted_ns = 0, healed_ns = 0;
  double Seconds(int64_t t_ns) const { return static_cast<double>(t_ns - acted_ns) / 1e9; }
};

std::optional<Outage> FindOutage(const nlohmann::json& rep) {
  std::optional<Outage> outage;
  for (const auto& fault : rep.at("faults")) {
    const auto& acted = fault.at("observed_at_ns");
    const auto& healed = fault.at("healed_at_ns");
    if (acted.is_null() || healed.is_null()) return std::nullopt;
    if (!outage) outage = Outage{acted.get<int64_t>(), healed.get<int64_t>()};
    outage->acted_ns = std::min(outage->acted_ns, acted.get<int64_t>());
    outage->healed_ns = std::max(outage->healed_ns, healed.get<int64_t>());
  }
  return outage;
}

/// The latest end of what was under way at the healing; `nothing` when there was none.
class Latest {
 public:
  explicit Latest(const Outage& outage) : outage_(outage) {}
  void Add(int64_t begun_ns, std::optional<int64_t> ended_ns) {
    if (begun_ns > outage_.healed_ns || (ended_ns && *ended_ns <= outage_.healed_ns)) return;
    unended_ = unended_ || !ended_ns;
    if (ended_ns) end_ns_ = std::max(end_ns_.value_or(0), *ended_ns);
  }
  RecoveryStage Stage(const char* name, const char* nothing, const char* never) const {
    if (unended_) return {name, std::nullopt, never};
    if (!end_ns_) return {name, std::nullopt, nothing};
    return {name, outage_.Seconds(*end_ns_), ""};
  }

 private:
  const Outage& outage_;
  std::optional<int64_t> end_ns_;
  bool unended_ = false;
};

RecoveryStage Decided(const RepRecords& records, const Outage& outage, bool two_phase) {
  constexpr const char* kName = "last branch decided";
  if (!two_phase) return {kName, std::nullopt, "the path prepares nothing"};
  if (!records.in_doubt) return {kName, std::nullopt, "not measured"};
  Latest latest(outage);
  for (const InDoubtRecord& record : *records.in_doubt) {
    latest.Add(record.first_seen_ns, record.last_seen_ns);
  }
  return latest.Stage(kName, "none outlasted the outage", "");
}

RecoveryStage LetThrough(const RepRecords& records, const Outage& outage) {
  constexpr const char* kName = "last writer let through";
  if (!records.blocked) return {kName, std::nullopt, "not measured"};
  Latest latest(outage);
  for (const BlockedRecord& record : *records.blocked) {
    latest.Add(record.started_ns, record.ended_ns);
  }
  return latest.Stage(kName, "none waited by then", "one never got through");
}

RecoveryStage CaughtUp(const RepRecords& records, const Outage& outage) {
  constexpr const char* kName = "other stores caught up";
  if (!records.lag) return {kName, std::nullopt, "not measured"};
  Latest latest(outage);
  for (const LagRecord& record : *records.lag) {
    latest.Add(record.committed_ns, record.visible_ns);
  }
  return latest.Stage(kName, "they were not behind", "an order never appeared");
}

RecoveryStage FirstCommit(const RepRecords& records, const Outage& outage) {
  constexpr const char* kName = "first commit";
  if (!records.operations) return {kName, std::nullopt, "not measured"};
  std::optional<int64_t> first;
  for (const OperationRecord& operation : *records.operations) {
    if (operation.outcome != OperationOutcome::kCommitted) continue;
    if (*operation.ended_ns <= outage.healed_ns) continue;
    first = std::min(first.value_or(*operation.ended_ns), *operation.ended_ns);
  }
  if (!first) return {kName, std::nullopt, "none came"};
  return {kName, outage.Seconds(*first), ""};
}

}  // namespace

std::vector<RecoveryStage> RecoveryStages(const RepRecords& records, bool two_phase) {
  const auto outage = FindOutage(records.rep);
  if (!outage) return {};
  return {{"outage", outage->Seconds(outage->healed_ns), ""},
          FirstCommit(records, *outage),
          Decided(records, *outage, two_phase),
          LetThrough(records, *outage),
          CaughtUp(records, *outage)};
}

}  // namespace indoubt
