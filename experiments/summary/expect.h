// What a scenario expects of its figures: `cdc.lag_ms.max >= 10000`,
// `2pc.throughput_per_s / raw-grpc.throughput_per_s >= 0.8`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// A number, a figure of a cell, a figure divided by another, or a bound of the interval
/// of that ratio, taken repetition by repetition.
struct CheckTerm {
  std::optional<double> number;
  std::string figure, divisor;  // "cell.figure"; divisor may be empty
  std::string bound;            // "ci_low", "ci_high"; only with a divisor
};

enum class CheckOperator { kLess, kLessEqual, kEqual, kNotEqual, kGreaterEqual, kGreater };

struct Check {
  std::string text;
  CheckTerm left, right;
  CheckOperator op = CheckOperator::kEqual;
};

/// kInvalidArgument says what is wrong and shows the form. Parts are separated by spaces.
Result<Check> ParseCheck(std::string_view text);

/// The figures that it names, from left to right ("cell.figure").
std::vector<std::string> References(const Check& check);

struct FigureReference {
  std::string cell, figure;
};
/// Takes "cell.figure" apart. Names of cells may contain dots: the longest of `cells`
/// wins. None when it begins with none of them.
std::optional<FigureReference> SplitReference(std::span<const std::string> cells,
                                              const std::string& text);

/// {"check", "observed", "limit", "verdict": "pass"|"fail"|"no_data", "reason"} against
/// the cells of a summary. `reason` says what data is missing, else null. A figure
/// of correctness that any repetition lacks is no data: that one may be the worst.
nlohmann::json EvaluateCheck(const Check& check, const nlohmann::json& cells);

}  // namespace indoubt
