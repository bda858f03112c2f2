#include "experiments/report/report.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "base/file.h"
#include "experiments/report/chart_data.h"
#include "experiments/report/writers.h"
#include "experiments/summary/summary.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr size_t kMostCharts = 32;  // cells with lines on one page: the rest has no room

/// Summarises the runs and reads what is drawn of them, on one page together.
Result<std::vector<ReportedRun>> Gather(const std::vector<std::string>& run_folders) {
  std::vector<ReportedRun> runs(run_folders.size());
  size_t cells = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    INDOUBT_ASSIGN_OR_RETURN(runs[i].summary, Summarise(run_folders[i]));
    cells += runs[i].summary.at("cells").size();
  }
  const ChartDetail detail = DetailFor(std::min(cells, kMostCharts));
  size_t room = kMostCharts;
  for (size_t i = 0; i < runs.size(); ++i) {
    json drawn = runs[i].summary;
    json& all = drawn.at("cells");
    runs[i].left_out = all.size() - std::min(all.size(), room);
    all.erase(all.end() - static_cast<std::ptrdiff_t>(runs[i].left_out), all.end());
    room -= all.size();
    INDOUBT_ASSIGN_OR_RETURN(runs[i].charts, ReadCharts(run_folders[i], drawn, detail));
  }
  return runs;
}

/// The JSON library throws on data of an unforeseen shape: it ends here.
Status WriteAll(const std::string& folder, const ReportedRun& run) {
  try {
    INDOUBT_RETURN_IF_ERROR(ReplaceFile(folder + "/summary.csv", SummaryCsv(run.summary)));
    INDOUBT_RETURN_IF_ERROR(ReplaceFile(folder + "/report.md", MarkdownReport(run.summary)));
    return ReplaceFile(folder + "/report.html", HtmlReport({run}));
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  folder + ": the report cannot be built from this run: " + error.what());
  }
}

Status WriteReadable(FileSystem& files, const std::string& path, const std::string& text) {
  {
    INDOUBT_ASSIGN_OR_RETURN(const auto file, files.Open(path, OpenMode::kCreateNew));
    INDOUBT_RETURN_IF_ERROR(file->WriteAt(0, text));
    INDOUBT_RETURN_IF_ERROR(file->Sync());
  }
  // A report is for everybody to read; the seam makes files for their owner alone.
  std::error_code error;
  std::filesystem::permissions(
      path,
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_write |
          std::filesystem::perms::group_read | std::filesystem::perms::others_read,
      error);
  if (!error) return Status::Ok();
  return Status(StatusCode::kIoError, path + ": cannot be made readable: " + error.message());
}

}  // namespace

Status ReplaceFile(const std::string& path, const std::string& text) {
  const std::filesystem::path target(path);
  const std::string folder =
      target.has_parent_path() ? target.parent_path().string() : std::string(".");
  const std::string temporary = path + ".new-" + std::to_string(::getpid());
  FileSystem& files = PosixFileSystem();
  std::error_code error;
  std::filesystem::remove(temporary, error);  // of a process with our pid that died here
  Status written = WriteReadable(files, temporary, text);
  if (written.ok()) written = files.Rename(temporary, path);
  if (!written.ok()) {
    std::filesystem::remove(temporary, error);  // a half one helps nobody
    return written.WithContext(path + " is as it was");
  }
  return files.SyncDirectory(folder);
}

Result<json> WriteReports(const std::string& run_folder) {
  INDOUBT_ASSIGN_OR_RETURN(std::vector<ReportedRun> runs, Gather({run_folder}));
  ReportedRun& run = runs.front();
  INDOUBT_RETURN_IF_ERROR(
      ReplaceFile(run_folder + "/summary.json", run.summary.dump(1) + "\n"));
  INDOUBT_RETURN_IF_ERROR(WriteAll(run_folder, run));
  return std::move(run.summary);
}

Status WriteCombinedReport(const std::vector<std::string>& run_folders,
                           const std::string& output_file) {
  if (run_folders.empty()) {
    return Status(StatusCode::kInvalidArgument, "report: name at least one run's folder");
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::vector<ReportedRun> runs, Gather(run_folders));
  try {
    return ReplaceFile(output_file, HtmlReport(runs));
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  std::string("the report cannot be built from these runs: ") + error.what());
  }
}

}  // namespace indoubt
