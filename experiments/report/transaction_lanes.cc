#include "experiments/report/transaction_lanes.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/report/fault_label.h"

namespace indoubt {
namespace {

constexpr double kNoticedMs = 1;     // a shorter wait nobody would notice
constexpr size_t kMostWaiters = 12;  // spans of others behind one transaction

/// What is known of one transaction; `operation` is null when no answer named it.
struct Chosen {
  const OperationRecord* operation = nullptr;
  std::string gid, why;
};

double Ms(int64_t from_ns, int64_t to_ns) { return static_cast<double>(to_ns - from_ns) / 1e6; }

std::string OutcomeText(const OperationRecord* operation) {
  if (operation == nullptr) return "its client got no answer";
  switch (operation->outcome) {
    case OperationOutcome::kCommitted:
      return "committed";
    case OperationOutcome::kRolledBack:
      return "rolled back";
    case OperationOutcome::kFailed:
      return "refused";
    case OperationOutcome::kUnknown:
      return "no answer";
    case OperationOutcome::kDropped:
      return "dropped";
    case OperationOutcome::kCensored:
      return "unanswered at the end";
  }
  return "";
}

bool Answered(const OperationRecord& operation) {
  return operation.measured && (operation.outcome == OperationOutcome::kCommitted ||
                                operation.outcome == OperationOutcome::kRolledBack);
}

class Chooser {
 public:
  explicit Chooser(const RepRecords& records) : records_(records) {
    if (!records.operations) return;
    for (const OperationRecord& operation : *records.operations) {
      if (!operation.gid.empty()) by_gid_[operation.gid] = &operation;
      if (operation.order) by_order_[*operation.order] = &operation;
      if (Answered(operation)) answered_.push_back(&operation);
    }
    std::sort(answered_.begin(), answered_.end(), [](const auto* a, const auto* b) {
      return *a->ended_ns - a->intended_ns < *b->ended_ns - b->intended_ns;
    });
  }

  std::vector<Chosen> Choose() {
    AddLongestInDoubt();
    AddLongestStale();
    if (!answered_.empty()) {
      Add({answered_.back(), answered_.back()->gid, "slowest that was answered"});
      const OperationRecord* typical = answered_[answered_.size() / 2];
      Add({typical, typical->gid, "typical"});
    }
    return std::move(chosen_);
  }

 private:
  void Add(Chosen chosen) {
    const bool known = std::any_of(chosen_.begin(), chosen_.end(), [&](const Chosen& other) {
      return chosen.operation != nullptr ? other.operation == chosen.operation
                                         : other.gid == chosen.gid;
    });
    if (!known) chosen_.push_back(std::move(chosen));
  }

  void AddLongestInDoubt() {
    if (!records_.in_doubt || records_.in_doubt->empty()) return;
    const auto longest = std::max_element(records_.in_doubt->begin(), records_.in_doubt->end(),
                                          [](const InDoubtRecord& a, const InDoubtRecord& b) {
                                            return a.last_seen_ns - a.first_seen_ns <
                                                   b.last_seen_ns - b.first_seen_ns;
                                          });
    const auto operation = by_gid_.find(longest->gid);
    Add({operation == by_gid_.end() ? nullptr : operation->second, longest->gid,
         "longest in doubt"});
  }

  void AddLongestStale() {
    if (!records_.lag) return;
    const OperationRecord* longest = nullptr;
    int64_t most = -1;
    const int64_t last_looked = records_.rep.at("drained_ns").get<int64_t>();
    for (const LagRecord& record : *records_.lag) {
      const auto operation = by_order_.find(record.order.value_or(-1));
      const int64_t stale = record.visible_ns.value_or(last_looked) - record.committed_ns;
      if (operation == by_order_.end() || stale <= most) continue;
      most = stale;
      longest = operation->second;
    }
    if (longest != nullptr) Add({longest, longest->gid, "longest stale"});
  }

  const RepRecords& records_;
  std::map<std::string, const OperationRecord*> by_gid_;
  std::map<int64_t, const OperationRecord*> by_order_;
  std::vector<const OperationRecord*> answered_;  // by response time
  std::vector<Chosen> chosen_;
};

/// The lanes of one chosen transaction.
class Drawer {
 public:
  Drawer(const RepRecords& records, const Chosen& chosen)
      : records_(records), chosen_(chosen), zero_(Zero()) {}

  std::vector<LaneSpan> Draw() {
    if (chosen_.operation != nullptr) DrawClient(*chosen_.operation);
    DrawPrepared();
    DrawStale();
    DrawWaiters();
    DrawFaults();
    return std::move(spans_);
  }

 private:
  /// When it was due; without an operation, when it was first seen.
  int64_t Zero() const {
    if (chosen_.operation != nullptr) return chosen_.operation->intended_ns;
    int64_t first = INT64_MAX;
    for (const InDoubtRecord& record : *records_.in_doubt) {
      if (record.gid == chosen_.gid) first = std::min(first, record.first_seen_ns);
    }
    return first;
  }

  void Add(std::string lane, std::string kind, std::string label, int64_t from_ns,
           std::optional<int64_t> to_ns) {
    last_ns_ = std::max({last_ns_, from_ns, to_ns.value_or(from_ns)});
    spans_.push_back({std::move(lane), std::move(kind), std::move(label), Ms(zero_, from_ns),
                      to_ns ? std::optional(Ms(zero_, *to_ns)) : std::nullopt});
  }

  void DrawClient(const OperationRecord& operation) {
    const int64_t started = operation.started_ns.value_or(operation.intended_ns);
    if (Ms(operation.intended_ns, started) >= kNoticedMs) {
      Add("client", "queue", "due, not started", operation.intended_ns, started);
    }
    Add("client", "client", OutcomeText(&operation), started, operation.ended_ns);
  }

  void DrawPrepared() {
    if (!records_.in_doubt || chosen_.gid.empty()) return;
    for (const InDoubtRecord& record : *records_.in_doubt) {
      if (record.gid != chosen_.gid) continue;
      Add(record.store, "prepared", "prepared, undecided", record.first_seen_ns,
          record.last_seen_ns);
    }
  }

  void DrawStale() {
    if (!records_.lag || chosen_.operation == nullptr || !chosen_.operation->order) return;
    for (const LagRecord& record : *records_.lag) {
      if (record.order != chosen_.operation->order) continue;
      const auto visible =
          record.visible_ns ? std::optional(std::max(*record.visible_ns, record.committed_ns))
                            : std::nullopt;
      Add(record.store, "stale", "committed, not visible here", record.committed_ns, visible);
    }
  }

  std::set<std::string> Keys() const {
    std::set<std::string> keys;
    if (chosen_.operation == nullptr) return keys;
    const auto add = [&](const char* kind, const std::optional<int64_t>& number) {
      if (number) keys.insert(fmt::format("{}:{}", kind, *number));
    };
    add("order", chosen_.operation->order);
    add("account", chosen_.operation->account);
    add("stock", chosen_.operation->item);
    return keys;
  }

  /// Those that wanted its keys while it was under way, the longest waits first.
  void DrawWaiters() {
    if (!records_.blocked) return;
    const std::set<std::string> keys = Keys();
    std::vector<const BlockedRecord*> waiters;
    for (const BlockedRecord& record : *records_.blocked) {
      const int64_t ended = record.ended_ns.value_or(INT64_MAX);
      if (!keys.contains(record.key) || record.started_ns > last_ns_ || ended < zero_) continue;
      if (Ms(record.started_ns, ended) >= kNoticedMs) waiters.push_back(&record);
    }
    std::sort(waiters.begin(), waiters.end(), [](const auto* a, const auto* b) {
      return a->ended_ns.value_or(INT64_MAX) - a->started_ns >
             b->ended_ns.value_or(INT64_MAX) - b->started_ns;
    });
    waiters.resize(std::min(waiters.size(), kMostWaiters));
    for (const BlockedRecord* record : waiters) {
      Add("others: " + record->key, "blocked", "waits for " + record->key, record->started_ns,
          record->ended_ns);
    }
  }

  void DrawFaults() {
    for (const auto& fault : records_.rep.at("faults")) {
      if (fault.at("observed_at_ns").is_null()) continue;
      const auto acted = fault.at("observed_at_ns").get<int64_t>();
      const auto healed = fault.at("healed_at_ns").is_null()
                              ? std::nullopt
                              : std::optional(fault.at("healed_at_ns").get<int64_t>());
      if (acted > last_ns_ || healed.value_or(INT64_MAX) < zero_) continue;
      Add("fault", "fault", FaultLabel(fault), acted, healed);
    }
  }

  const RepRecords& records_;
  const Chosen& chosen_;
  int64_t zero_ = 0, last_ns_ = 0;
  std::vector<LaneSpan> spans_;
};

std::string IdOf(const std::string& cell, const Chosen& chosen) {
  if (!chosen.gid.empty()) return chosen.gid;
  const OperationRecord& operation = *chosen.operation;
  return operation.order ? fmt::format("{}/order:{}", cell, *operation.order)
                         : fmt::format("{}/due:{}", cell, operation.intended_ns);
}

}  // namespace

std::vector<TransactionLanes> ChooseTransactions(const std::string& cell,
                                                 const RepRecords& records) {
  std::vector<TransactionLanes> all;
  for (const Chosen& chosen : Chooser(records).Choose()) {
    all.push_back({IdOf(cell, chosen), chosen.why, OutcomeText(chosen.operation),
                   Drawer(records, chosen).Draw()});
  }
  return all;
}

}  // namespace indoubt
