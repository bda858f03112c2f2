// What a coordinator's log still holds at the end of a repetition: decisions.ndjson.
#pragma once

#include <string>

#include "base/status.h"

namespace indoubt {

/// Writes the records of the log in `log_folder` to `path`, one JSON object a line, without
/// locking or changing the log. kNotFound, kIoError, kInvalidArgument as InspectLog.
Status RecordDecisions(const std::string& log_folder, const std::string& path);

}  // namespace indoubt
