// All the runs of a folder: what `indoubt list runs` shows, and runs/index.html.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace indoubt {

/// One run, from its run.json and summary.json.
struct ListedRun {
  std::string id;        // its folder's name
  std::string date;      // when it was started, UTC, or "unknown"
  std::string scenario;  // "unknown" where run.json cannot be read
  std::string status;    // "done", "interrupted" (stopped, however), "running", "failed",
                         // "unreadable"
  std::string verdict;   // "pass", "expectation failed", "correctness violated",
                         // "inconclusive", "no summary"
  std::string says;      // the verdict's first sentence, or why there is none
  std::string resume;    // the command that completes it; empty unless it was stopped
  bool has_report = false;
};

/// The runs in `folder`, the latest first. A run whose files cannot be read is listed
/// as such. kNotFound: no such folder.
Result<std::vector<ListedRun>> ListRuns(const std::string& folder);

/// Whether `indoubt run` put its runs there: it leaves the link `latest` to one of them.
bool IsRunsFolder(const std::string& folder);

/// Writes index.html over the runs in `folder`, replaced atomically: one offline page
/// with links to the reports beside it. Does nothing when `folder` holds no run.
Status WriteRunIndex(const std::string& folder);

}  // namespace indoubt
