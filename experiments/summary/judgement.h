// What a run comes to: the exit code of `indoubt run`, and the sentence that a
// reader takes home.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// The values are the command line's exit codes (docs: the contract's table).
enum class RunVerdict {
  kPass = 0,
  kExpectationFailed = 10,
  kCorrectnessViolated = 11,
  kInconclusive = 12,
};

/// Whether a violation on this path breaks a promise and is no mere result.
bool PromisesAtomicity(const std::string& path);

struct RunJudgement {
  RunVerdict verdict = RunVerdict::kPass;
  std::vector<std::string> reasons;  // why, one line each; of the verdict given first
  int exit_code() const { return static_cast<int>(verdict); }
};

/// Judges a summary of Summarise(). A violation on a path that promises atomicity
/// (2pc, 2pc-embedded, cdc) wins over all; then inconclusive, as an expectation says
/// nothing about a load that was not delivered or a fault that did not happen;
/// then a failed expectation.
RunJudgement Judge(const nlohmann::json& summary);

/// The verdict in words with the run's own figures: what each path paid. Says so
/// where a figure is missing. Plain text, a line a sentence.
std::string VerdictText(const nlohmann::json& summary);

/// What each path paid, a sentence without its full stop each; of many cells the one of each
/// path that paid most. One line of VerdictText has them all.
std::vector<std::string> PriceSentences(const nlohmann::json& summary);

/// "12.3 ms", "10.4 s"; "not measured" for null.
std::string DurationText(const nlohmann::json& milliseconds);

/// The same of `cell`'s figure; "none seen" where the observer looked and saw nothing.
std::string DurationText(const nlohmann::json& cell, const std::string& figure);

/// "1 key", "2 keys".
std::string CountText(double count, const std::string& singular, const std::string& plural);

}  // namespace indoubt
