// indoubt report: builds the report from a run's data.
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/history/history.h"
#include "experiments/report/report.h"
#include "experiments/report/run_index.h"
#include "experiments/summary/run_record.h"

namespace indoubt::cli {
namespace {

/// The index of the runs' folder that holds this run; a run that was copied elsewhere is
/// nobody's reason to write there. Not a part of the run itself: that it cannot be written
/// does not fail the report.
Status WriteIndexAbove(const std::string& run) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::canonical(run, error);
  if (error) return Status(StatusCode::kIoError, run + ": " + error.message());
  const std::string above = folder.parent_path().string();
  return IsRunsFolder(above) ? WriteRunIndex(above) : Status::Ok();
}

/// history.json or history.edn beside the records of each repetition.
Status WriteHistories(const std::string& run, const Json& summary, const std::string& form) {
  for (const Json& cell : summary.at("cells")) {
    for (const Json& rep : cell.at("reps")) {
      const std::string folder = run + "/" + rep.at("dir").get<std::string>();
      INDOUBT_ASSIGN_OR_RETURN(const auto history, ReadHistory(folder));
      const std::string path = folder + "/history." + form;
      INDOUBT_RETURN_IF_ERROR(
          ReplaceFile(path, form == "edn" ? HistoryEdn(history) : HistoryJson(history)));
      PrintLine(path);
    }
  }
  return Status::Ok();
}

int Report(const std::vector<std::string>& runs, const std::string& output,
           const std::string& history) {
  for (const std::string& run : runs) {
    const auto summary = WriteReports(run);
    if (!summary) return Fail(summary.error());
    const Status indexed = WriteIndexAbove(run);
    if (!indexed.ok()) Note("indoubt: warning: " + indexed.message());
    if (!history.empty()) {
      const Status written = WriteHistories(run, *summary, history);
      if (!written.ok()) return Fail(written);
    }
    if (output.empty()) PrintLine(run + "/report.html");
    const std::string resume =
        ResumeCommand(summary->at("run").at("status").get<std::string>(), run);
    if (!resume.empty()) {
      Note(fmt::format("indoubt: {} was stopped; to complete it: {}", run, resume));
    }
  }
  if (output.empty()) return kDone;
  const Status status = WriteCombinedReport(runs, output);
  if (!status.ok()) return Fail(status);
  PrintLine(output);
  return kDone;
}

}  // namespace

void AddReport(Verb program) {
  Verb verb = program.Add("report", "Build the report from a run's data");
  auto runs = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>();
  verb.Value("RUN", *runs, "Folders of runs").Required();
  verb.Value("-o,--output", *output, "One file over all of them");
  auto history = std::make_shared<std::string>();
  verb.Value("--history", *history,
             "Each repetition's history too: json, or edn as Jepsen and Elle read it")
      .OneOf({"json", "edn"});
  verb.Does([runs, output, history] { return Report(*runs, *output, *history); });
}

}  // namespace indoubt::cli
