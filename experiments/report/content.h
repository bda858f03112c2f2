// What both the Markdown and the HTML report say, so that they say the same.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace indoubt {

/// How to read PathTable().
inline constexpr const char* kTableNote =
    "Response times count from the intended start. An operation without an answer counts with "
    "the time it had waited; failed ones (refused before anything was sent) and dropped ones "
    "are "
    "in no time at all. A dash: not measured. Over several repetitions: the median, of "
    "correctness figures the worst.";

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // first column: the row's name
};

/// One row a figure, one column a cell, as there are many more figures than paths.
/// "not measured" reads as a dash with the legend beside it.
Table PathTable(const nlohmann::json& summary);
/// One row an expectation: check, observed, verdict.
Table ExpectationTable(const nlohmann::json& summary);
/// Machine, versions, durability, storage.
Table EnvironmentTable(const nlohmann::json& summary);
/// One row a fault of every repetition, with its times.
Table FaultTable(const nlohmann::json& summary);
/// One row a figure and cell with its median and interval; empty below two repetitions.
Table RepetitionTable(const nlohmann::json& summary);

/// What this run cannot tell, from how it was made.
std::vector<std::string> Limits(const nlohmann::json& summary);

/// The shell command that runs it again.
std::string ReproduceCommand(const nlohmann::json& summary);

/// "1,234", "12.3"; a dash for null.
std::string NumberText(const nlohmann::json& value);

}  // namespace indoubt
