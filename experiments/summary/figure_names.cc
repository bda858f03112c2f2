#include "experiments/summary/figure_names.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace indoubt {
namespace {

using nlohmann::json;

constexpr std::array<FigureName, 27> kFigures{{
    {"attempted", FigureKind::kNumber},
    {"committed", FigureKind::kNumber},
    {"rolled_back", FigureKind::kNumber},
    {"failed", FigureKind::kNumber},
    {"unknown", FigureKind::kNumber},
    {"dropped", FigureKind::kNumber},
    {"dropped_undisturbed", FigureKind::kNumber},
    {"censored", FigureKind::kNumber},
    {"throughput_per_s", FigureKind::kNumber},
    {"response_ms", FigureKind::kDistribution},
    {"service_ms", FigureKind::kDistribution},
    {"in_doubt_ms", FigureKind::kDistribution},
    {"blocked_ms", FigureKind::kDistribution},
    {"blocked_over_100ms", FigureKind::kNumber},
    {"lag_ms", FigureKind::kDistributionByStore},
    {"lag_before_fault_ms", FigureKind::kDistributionByStore},
    {"lag_after_heal_ms", FigureKind::kDistributionByStore},
    {"catch_up_ms", FigureKind::kNumber},
    {"fractured_reads", FigureKind::kNumber},
    {"reads", FigureKind::kNumber},
    {"inconsistent.transient", FigureKind::kNumber},
    {"inconsistent.permanent", FigureKind::kNumber},
    {"lost_acknowledged", FigureKind::kNumber},
    {"resurrected", FigureKind::kNumber},
    {"leftovers", FigureKind::kNumber},
    {"unwritable", FigureKind::kNumber},
    {"recovery_idempotent", FigureKind::kFlag},
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
  for (const auto& [name, kind] : kFigures) {
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
         figure == "resurrected" || figure == "leftovers" || figure == "unwritable";
}

}  // namespace indoubt
