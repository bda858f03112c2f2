// The transaction that `exec` was asked for: from its arguments, or from a file.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/executor.h"

namespace indoubt::cli {

/// A parameter as people type it: a JSON scalar (7, 1.5, true, null, "7"), and
/// anything else as text.
Value ParseParam(const std::string& text);

/// Reads [[statement]] tables with on, text, params, rows. kInvalidArgument reads
/// "file:line:column: key: what is wrong".
Result<std::vector<AddressedStatement>> LoadStatements(const std::string& path);

}  // namespace indoubt::cli
