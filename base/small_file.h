// Reads files that people write: configurations, scenarios, statements.
#pragma once

#include <string>

#include "base/status.h"

namespace indoubt {

/// All of the file (or pipe) at `path`. kInvalidArgument says why it cannot be read, or that it
/// is larger than 1 MiB: then it is something else, and perhaps without an end.
Result<std::string> ReadSmallFile(const std::string& path);

}  // namespace indoubt
