// Which figures a repetition has: the one list that the summary is filled from and
// that expectations are checked against.
#pragma once

#include <span>
#include <string_view>

#include <nlohmann/json.hpp>

namespace indoubt {

enum class FigureKind {
  kNumber,
  kDistribution,         // .n .p50 .p90 .p99 .p999 .max
  kDistributionByStore,  // the same, and once more under .by_store.STORE
  kFlag,                 // true or false: no check can compare it
};

struct FigureName {
  std::string_view name;  // dotted: "inconsistent.permanent"
  FigureKind kind = FigureKind::kNumber;
  std::string_view meaning;  // one line for a person
};

/// The figures of a repetition in summary.json.
std::span<const FigureName> AllFigures();

/// Whether `dotted` is a number among them: "committed", "lag_ms.by_store.stock.p99".
bool IsFigure(std::string_view dotted);

/// Where `dotted` stands in a repetition of the summary.
nlohmann::json::json_pointer FigurePointer(std::string_view dotted);

/// Whether the worst repetition counts for this figure and not the median.
bool IsCorrectnessFigure(std::string_view figure);

}  // namespace indoubt
