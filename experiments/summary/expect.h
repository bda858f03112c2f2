// What a scenario expects of its figures: `cdc.lag_ms.max >= 10000`,
// `2pc.throughput_per_s / raw-grpc.throughput_per_s >= 0.8`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// A number, a figure of a cell, or a figure divided by another.
struct CheckTerm {
  std::optional<double> number;
  std::string figure, divisor;  // "cell.figure"; divisor may be empty
};

enum class CheckOperator { kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater };

struct Check {
  std::string text;
  CheckTerm left, right;
  CheckOperator op = CheckOperator::kEqual;
};

/// kInvalidArgument says what is wrong and shows the form. Parts are separated by spaces.
Result<Check> ParseCheck(std::string_view text);

/// Whether the worst repetition counts for this figure and not the median.
bool IsCorrectnessFigure(std::string_view figure);

/// {"check", "observed", "limit", "verdict": "pass"|"fail"|"no_data", "reason"} against
/// the cells of a summary. `reason` says what data is missing, else null. A figure
/// of correctness that any repetition lacks is no data: that one may be the worst.
nlohmann::json EvaluateCheck(const Check& check, const nlohmann::json& cells);

}  // namespace indoubt
