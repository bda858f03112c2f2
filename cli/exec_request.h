// The transaction that `exec` was asked for: from its arguments, or from a file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/executor.h"

namespace indoubt::cli {

/// A parameter as people type it: a JSON scalar (7, 1.5, true, null, "7"), and anything else
/// as text; also a number that neither int64 nor double holds with every digit.
Value ParseParam(const std::string& text);

/// The statements in the words that follow `exec`: --rows and --param belong to the --on
/// before them. The command line's parser has checked the form of all options; their
/// order, and values such as "[1]" which it would take apart, are read from what was
/// given. kInvalidArgument.
Result<std::vector<AddressedStatement>> StatementsFromArguments(
    const std::vector<std::string>& given);

/// Reads [[statement]] tables with on, text, params, rows. kInvalidArgument reads
/// "file:line:column: key: what is wrong".
Result<std::vector<AddressedStatement>> LoadStatements(const std::string& path);

}  // namespace indoubt::cli
