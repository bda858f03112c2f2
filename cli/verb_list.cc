// indoubt list: what this program knows.
#include <filesystem>
#include <memory>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "experiments/faults/fault.h"
#include "experiments/report/run_index.h"
#include "experiments/scenario.h"
#include "experiments/summary/figure_names.h"

namespace indoubt::cli {
namespace {

int ListFaults() {
  for (const FailPoint& point : AllFailPoints()) {
    PrintLine(fmt::format("{:26} {}", point.name, point.where));
  }
  for (const FaultKind& kind : AllFaultKinds()) {
    PrintLine(fmt::format("{:26} in a scenario: {}", kind.name, kind.what));
  }
  return kDone;
}

int ListScenarios() {
  for (const BuiltinScenario& builtin : BuiltinScenarios()) {
    const auto scenario = LoadScenario(std::string(builtin.name));
    if (!scenario) return Fail(scenario.error());
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(EstimatedDuration(*scenario)).count();
    PrintLine(fmt::format("{:26} {:>2} min {:02} s  {}", scenario->name, seconds / 60,
                          seconds % 60, scenario->question));
  }
  return kDone;
}

/// The parts of a figure that a check names, e.g. ".p50 .p90".
std::string PartsOf(FigureKind kind) {
  switch (kind) {
    case FigureKind::kNumber:
      return "";
    case FigureKind::kDistribution:
      return " (.n .p50 .p90 .p99 .p999 .max)";
    case FigureKind::kDistributionByStore:
      return " (.n .p50 .p90 .p99 .p999 .max, .by_store.STORE.PART)";
    case FigureKind::kFlag:
      return " (on every path that can recover; not for expectations)";
  }
  return "";
}

int ListChecks() {
  PrintLine(
      "Promises of 2pc, 2pc-embedded and cdc; there one violation in any repetition is exit "
      "11:");
  const auto print = [](bool promises) {
    for (const FigureName& figure : AllFigures()) {
      const bool promised =
          figure.name != "inconsistent.transient" &&
          (IsCorrectnessFigure(figure.name) || figure.kind == FigureKind::kFlag);
      if (promised != promises) continue;
      PrintLine(fmt::format("  {:24} {}{}", figure.name, figure.meaning, PartsOf(figure.kind)));
    }
  };
  print(true);
  PrintLine(
      "Figures, the median over repetitions (inconsistent.transient: the worst); [[expect]] "
      "check = \"CELL.FIGURE OP NUMBER\":");
  print(false);
  return kDone;
}

constexpr const char* kRunsFolder = "runs";  // where `run` puts them unless told otherwise

int ListAllRuns(const std::string& folder, bool json) {
  const auto runs = ListRuns(folder);
  std::error_code error;
  const bool none_yet = !runs && runs.error().code() == StatusCode::kNotFound &&
                        folder == kRunsFolder && !std::filesystem::exists(folder, error);
  if (!runs && !none_yet) return Fail(runs.error(), json);
  if (none_yet || runs->empty()) {
    Note(fmt::format("indoubt: there is no run in {} yet; `indoubt run SCENARIO` makes one",
                     folder));
    return kDone;
  }
  for (const ListedRun& run : *runs) {
    if (json) {
      PrintJson({{"id", run.id},
                 {"started_at", run.date},
                 {"scenario", run.scenario},
                 {"status", run.status},
                 {"verdict", run.verdict},
                 {"resume", run.resume.empty() ? Json(nullptr) : Json(run.resume)}});
    } else {
      PrintLine(fmt::format("{:24}  {:20}  {:11}  {:20}  {}", run.date, run.scenario,
                            run.status, run.verdict, run.id));
    }
    if (run.status == "unreadable") Note("indoubt: " + run.says);
    if (!run.resume.empty()) {
      Note(fmt::format("indoubt: {} was stopped; to complete it: {}", run.id, run.resume));
    }
  }
  return kDone;
}

}  // namespace

void AddList(Verb program) {
  Verb verb = program.Add("list", "Scenarios, fail points, checks and runs");
  verb.Add("faults", "Kinds of faults, and every fail point and where it lies")
      .Does(ListFaults);
  verb.Add("scenarios",
           "Those that the binary carries, each with about how long it takes and its question")
      .Does(ListScenarios);
  verb.Add("checks", "What is checked, and every figure that a scenario may expect")
      .Does(ListChecks);
  Verb runs = verb.Add("runs", "Date, scenario, status and verdict of each run");
  auto folder = std::make_shared<std::string>(kRunsFolder);
  auto json = std::make_shared<bool>(false);
  runs.Value("--out", *folder, "Folder of the runs").ShowDefault();
  runs.Flag("--json", *json, "One JSON object a run");
  runs.Does([folder, json] { return ListAllRuns(*folder, *json); });
}

}  // namespace indoubt::cli
