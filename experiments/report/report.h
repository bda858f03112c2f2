// A run for people: summary.json and summary.csv for tools, report.md and
// report.html for readers. Everything is built from the run's data, so it can be
// written again at any time.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"

namespace indoubt {

/// Summarises the run in `run_folder` and writes summary.json, summary.csv,
/// report.md and report.html there, each replaced atomically. Returns the summary
/// for VerdictText() and Judge(). kNotFound, kCorrupt, kIoError name the file.
Result<nlohmann::json> WriteReports(const std::string& run_folder);

/// One offline page of one or several runs, each summarised anew, at `output_file`
/// (replaced atomically). At least one run.
Status WriteCombinedReport(const std::vector<std::string>& run_folders,
                           const std::string& output_file);

/// Writes `text` to a file beside `path`, syncs it and renames it over `path`.
Status ReplaceFile(const std::string& path, const std::string& text);

}  // namespace indoubt
