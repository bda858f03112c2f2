// indoubt cdc rebuild: a view derived anew, proved equal to the source, and swapped in.
#include <fmt/format.h>

#include "cdc/rebuild/rebuild.h"
#include "cli/cdc_verbs.h"
#include "cli/output.h"

namespace indoubt::cli {
namespace {

void PrintReportJson(const std::string& view, const RebuildReport& report) {
  const bool equal = report.differing.empty();
  PrintJson({{"view", view},
             {"derived_from", report.from_snapshot ? "snapshot" : "log"},
             {"proved_at", report.proved_at.ToString()},
             {"rows", report.rows},
             {"entries", report.entries},
             {"merged", report.merged},
             {"equal", equal},
             {"differing", report.differing},
             {"swapped_at", equal ? Json(report.swapped_at.lsn.ToString()) : Json()}});
}

std::string Verdict(const RebuildReport& report) {
  if (!report.differing.empty()) return "not equal";
  if (report.merged == 0) return "equal";
  return fmt::format(
      "equal but for {} rows that have no entry of their own, being equal to "
      "another row in all values, or NULL in all of them",
      report.merged);
}

void PrintReportLines(const std::string& view, const RebuildReport& report) {
  PrintLine(
      fmt::format("view {}: derived from {}, compared at {}: {} rows of the source, {} "
                  "entries of the view: {}",
                  view, report.from_snapshot ? "a snapshot and the log" : "the log",
                  report.proved_at.ToString(), report.rows, report.entries, Verdict(report)));
  for (const std::string& entry : report.differing) PrintLine("  differs  " + entry);
  if (report.differing.empty()) {
    PrintLine(fmt::format("view {}: swapped at {}", view, report.swapped_at.lsn.ToString()));
  }
}

}  // namespace

int RebuildCdcView(const std::string& config, const std::string& name, Duration timeout,
                   bool json) {
  auto loaded = LoadCdcConfig(config);
  if (!loaded) return Fail(loaded.error(), json);
  LimitSinkPatience(loaded->options, timeout);
  const auto report = RebuildView(loaded->options, name, timeout);
  if (!report) return FailCdc(report.error(), json);
  if (json) {
    PrintReportJson(name, *report);
  } else {
    PrintReportLines(name, *report);
  }
  if (report->differing.empty()) return kDone;
  Note(
      fmt::format("indoubt: view {}: what was derived anew differs from the source; the old "
                  "version stays. If it differs again, the event log lacks changes: stop the "
                  "worker, drop its slot, name another slot and event log in [cdc], empty the "
                  "sinks, and run it",
                  name));
  return kCorrectnessViolated;
}

}  // namespace indoubt::cli
