#include "experiments/summary/figure_names.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace indoubt {
namespace {

using nlohmann::json;

constexpr std::array<FigureName, 40> kFigures{{
    {"attempted", FigureKind::kNumber, "operations that were due in the measured span"},
    {"committed", FigureKind::kNumber, "operations whose client was told that they committed"},
    {"rolled_back", FigureKind::kNumber,
     "operations whose client was told that nothing was written"},
    {"failed", FigureKind::kNumber, "operations refused before anything was sent to a store"},
    {"unknown", FigureKind::kNumber, "operations that may have committed: no answer came"},
    {"dropped", FigureKind::kNumber, "operations left out as too many were in flight"},
    {"dropped_undisturbed", FigureKind::kNumber,
     "those of them that no fault explains; above 1 percent nothing is judged"},
    {"censored", FigureKind::kNumber, "operations still unanswered when the repetition ended"},
    {"throughput_per_s", FigureKind::kNumber, "commits a second of the measured span"},
    {"response_ms", FigureKind::kDistribution, "from when an operation was due to its answer"},
    {"service_ms", FigureKind::kDistribution,
     "from when an operation was started to its answer"},
    {"in_doubt_ms", FigureKind::kDistribution,
     "how long an outside observer saw a branch prepared and undecided"},
    {"blocked_ms", FigureKind::kDistribution,
     "how long a writer from outside waited for a key"},
    {"blocked_over_100ms", FigureKind::kNumber, "how many of these waited longer than 100 ms"},
    {"lag_ms", FigureKind::kDistributionByStore,
     "staleness: from an acknowledged commit to its first sight in a derived store"},
    {"lag_before_fault_ms", FigureKind::kDistributionByStore,
     "the same, of commits before the first fault acted"},
    {"lag_after_heal_ms", FigureKind::kDistributionByStore,
     "the same, of commits after the last fault was healed"},
    {"catch_up_ms", FigureKind::kNumber,
     "from the last healing until all that was committed before it was visible"},
    {"fractured_reads", FigureKind::kNumber,
     "reads that saw an order in one store and not in another, twice in a row"},
    {"reads", FigureKind::kNumber, "double reads made"},
    {"inconsistent.transient", FigureKind::kNumber,
     "orders that readers saw torn and that agree at the end"},
    {"inconsistent.permanent", FigureKind::kNumber,
     "keys on which the stores disagree when nothing moves any more (atomicity, conservation)"},
    {"lost_acknowledged", FigureKind::kNumber,
     "orders told committed and missing in some store at the end"},
    {"resurrected", FigureKind::kNumber,
     "orders told rolled back and present in some store at the end"},
    {"leftovers", FigureKind::kNumber,
     "prepared branches, intents, locks and staged rows left at the end"},
    {"unwritable", FigureKind::kNumber, "keys that cannot be written at the end"},
    {"retained_wal_bytes", FigureKind::kDistribution,
     "write-ahead log that the source kept for the derived path's slot, bytes"},
    {"retained_wal_end_bytes", FigureKind::kNumber, "the same, when last looked at"},
    {"slot_wait_ms", FigureKind::kDistribution,
     "how long the making of another slot at the source took"},
    {"own_reads.without_token.reads", FigureKind::kNumber,
     "reads in a derived store of an order that had just committed"},
    {"own_reads.without_token.stale", FigureKind::kNumber, "how many did not find it"},
    {"own_reads.with_token.reads", FigureKind::kNumber,
     "the same, after waiting for the write's token"},
    {"own_reads.with_token.stale", FigureKind::kNumber, "how many did not find it"},
    {"token_wait_ms", FigureKind::kDistribution, "how long they waited for it"},
    {"pair_reads.without_cut.reads", FigureKind::kNumber,
     "reads of an order in both derived stores"},
    {"pair_reads.without_cut.fractured", FigureKind::kNumber,
     "how many found it in one and not in the other"},
    {"pair_reads.with_cut.reads", FigureKind::kNumber, "the same, at one consistent cut"},
    {"pair_reads.with_cut.fractured", FigureKind::kNumber,
     "how many found it in one and not in the other"},
    {"cut_wait_ms", FigureKind::kDistribution, "how long the taking of the cut took"},
    {"recovery_idempotent", FigureKind::kFlag, "whether a second recovery found nothing to do"},
}};
constexpr std::array<std::string_view, 6> kOfDistribution{"n",   "p50",  "p90",
                                                          "p99", "p999", "max"};
constexpr std::array<std::string_view, 2> kDerivedStores{"stock", "ledger"};

bool IsOfDistribution(std::string_view part) {
  return std::find(kOfDistribution.begin(), kOfDistribution.end(), part) !=
         kOfDistribution.end();
}

bool IsOfStore(std::string_view part) {
  for (const std::string_view store : kDerivedStores) {
    const std::string prefix = fmt::format("by_store.{}.", store);
    if (part.starts_with(prefix) && IsOfDistribution(part.substr(prefix.size()))) return true;
  }
  return false;
}

}  // namespace

std::span<const FigureName> AllFigures() { return kFigures; }

bool IsFigure(std::string_view dotted) {
  for (const auto& [name, kind, meaning] : kFigures) {
    if (kind == FigureKind::kNumber && dotted == name) return true;
    const bool parted = dotted.starts_with(name) && dotted.substr(name.size()).starts_with('.');
    if (!parted || kind == FigureKind::kNumber || kind == FigureKind::kFlag) continue;
    const std::string_view part = dotted.substr(name.size() + 1);
    if (IsOfDistribution(part)) return true;
    if (kind == FigureKind::kDistributionByStore && IsOfStore(part)) return true;
  }
  return false;
}

json::json_pointer FigurePointer(std::string_view dotted) {
  std::string pointer = fmt::format("/{}", dotted);
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  return json::json_pointer(pointer);
}

bool IsCorrectnessFigure(std::string_view figure) {
  return figure.starts_with("inconsistent.") || figure == "lost_acknowledged" ||
         figure == "resurrected" || figure == "leftovers" || figure == "unwritable" ||
         figure == "own_reads.with_token.stale" || figure == "pair_reads.with_cut.fractured";
}

}  // namespace indoubt
