// run.json as somebody else finds it: whether it is what docs/run-format.md says, and whether
// the run that it tells of still goes on.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// Of run.json, the file `path`. kCorrupt names the first field that is not as
/// docs/run-format.md says, what it is and what it has to be. Fields that came with later
/// versions may be missing: who needs them says so.
Status CheckRunRecord(const nlohmann::json& run, const std::string& path);

/// Whether a process still writes into the run's folder (RunFolderLock). When that cannot be
/// found out it counts as going on.
bool RunGoesOn(const std::string& run_folder);

/// run.json's status, which is `running` for ever when the process was ended at once: then,
/// and when it was interrupted, "interrupted".
std::string StatusOfRun(const nlohmann::json& run, const std::string& run_folder);

/// How a run of that status is completed: "indoubt run --resume FOLDER"; empty unless it was
/// stopped.
std::string ResumeCommand(const std::string& status, const std::string& run_folder);

}  // namespace indoubt
