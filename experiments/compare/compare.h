// Two runs of one scenario against each other: what got better, what worse, and where
// the repetitions do not tell. The methods are those of summary/two_samples.h;
// docs/run-format.md says why these.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// What `indoubt compare --gate` comes to; the values are its exit codes.
enum class GateVerdict {
  kPass = 0,
  kWorse = 10,                // something got worse beyond the noise
  kCorrectnessViolated = 11,  // the candidate broke a promise
  kCannotTell = 12,           // not one figure has an interval
};

/// The comparison of the runs in two folders, both summarised anew, in the form that
/// docs/run-format.md describes under `compare`. kInvalidArgument names what makes them
/// incomparable (CheckComparable, or no cell in common); kNotFound, kCorrupt as Summarise.
Result<nlohmann::json> CompareRuns(const std::string& base_folder,
                                   const std::string& candidate_folder);

/// Of a comparison by CompareRuns.
GateVerdict JudgeComparison(const nlohmann::json& comparison);

/// The comparison for a person: one line a figure, then what it comes to. Figures that
/// neither run measured are left out.
std::string ComparisonText(const nlohmann::json& comparison);

}  // namespace indoubt
