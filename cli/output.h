// What the verbs print: results to stdout, everything else to stderr.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "cli/exit_code.h"
#include "coordinator/coordinator.h"

namespace indoubt::cli {

using Json = nlohmann::ordered_json;

/// Prints "indoubt: <message>" to stderr and returns the exit code for it. With `json`
/// also {"error": {"code": ..., "message": ...}} to stdout.
int Fail(const Status& status, bool json = false);
/// The object alone.
void PrintError(const std::string& code, const std::string& message);

/// One compact JSON line on stdout. Bytes that are no UTF-8 are replaced.
void PrintJson(const Json& json);
/// The text and a line feed on stdout.
void PrintLine(const std::string& line);
/// Whether all that was printed has gone out. What follows may still fail.
bool FinishOutput();
/// The text and a line feed on stderr.
void Note(const std::string& line);

/// "committed", "rolled_back" or "unknown": the words of the command line's JSON.
const char* DecisionWord(DecisionOutcome outcome);

/// docs/configuration.md has the table of types.
Json ToJson(const Value& value);
Json ToJson(const TransactionOutcome& outcome);
Json ToJson(const std::vector<ParticipantOutcome>& participants);

}  // namespace indoubt::cli
