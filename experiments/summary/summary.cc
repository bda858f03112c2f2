#include "experiments/summary/summary.h"

#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiments/summary/control.h"
#include "experiments/summary/expect.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/flips.h"
#include "experiments/summary/records.h"
#include "experiments/summary/statistics.h"
#include "experiments/summary/warnings.h"

namespace indoubt {
namespace {

using nlohmann::json;

using Samples = std::map<std::string, std::vector<double>>;

json Stats(const Samples& samples) {
  json stats = json::object();
  for (const auto& [figure, values] : samples) {
    const auto median = Median(values);
    if (!median) continue;
    const auto bound = [](const std::optional<double>& value) {
      return value ? json(*value) : json();
    };
    stats[figure] = {{"median", median->median},
                     {"ci_low", bound(median->ci_low)},
                     {"ci_high", bound(median->ci_high)},
                     {"n", median->n}};
  }
  return stats;
}

/// One repetition of the summary; adds to the cell's samples and the warnings.
Result<json> SummariseRep(const std::string& run_folder, const json& cell, const json& entry,
                          Samples& samples, std::vector<std::string>& warnings) {
  const std::string folder = run_folder + "/" + entry.at("dir").get<std::string>();
  INDOUBT_ASSIGN_OR_RETURN(const RepRecords records, ReadRep(folder));
  auto figures = RepFigures(cell.at("path").get<std::string>(), records);
  if (!figures) return figures.error().WithContext(folder);
  json rep = std::move(*figures);
  if (CountsOverRepetitions(entry.at("status"))) {
    for (const auto& [name, value] : FlatFigures(rep)) samples[name].push_back(value);
  }
  for (const char* key : {"n", "dir", "status"}) rep[key] = entry.at(key);
  rep["error"] = entry.value("error", json());
  const std::string label = fmt::format("{} repetition {}", cell.at("name").get<std::string>(),
                                        rep.at("n").get<int64_t>());
  for (std::string& warning : RepWarnings(label, rep, records)) {
    warnings.push_back(std::move(warning));
  }
  return rep;
}

Result<json> SummariseCell(const std::string& run_folder, const json& cell,
                           std::vector<std::string>& warnings) {
  Samples samples;
  json reps = json::array();
  for (const json& entry : cell.at("reps")) {
    INDOUBT_ASSIGN_OR_RETURN(json rep,
                             SummariseRep(run_folder, cell, entry, samples, warnings));
    reps.push_back(std::move(rep));
  }
  return json{{"name", cell.at("name")},
              {"path", cell.at("path")},
              {"params", cell.value("params", json::object())},
              {"reps", std::move(reps)},
              {"stats", Stats(samples)}};
}

Result<json> SummariseAll(const std::string& run_folder, const RunRecords& records) {
  json summary = {{"schema", 1}, {"env", records.env}, {"cells", json::array()}};
  for (const char* key :
       {"id", "scenario", "question", "status", "seed", "argv", "reproduce"}) {
    summary["run"][key] = records.run.at(key);
  }
  for (const char* key : {"started_at", "ended_at"}) {
    summary["run"][key] = records.run.value(key, json());
  }
  std::vector<std::string> warnings = RunWarnings(records);
  for (const json& cell : records.run.at("cells")) {
    INDOUBT_ASSIGN_OR_RETURN(json summarised, SummariseCell(run_folder, cell, warnings));
    summary["cells"].push_back(std::move(summarised));
  }
  summary["control"] = CompareControls(summary["cells"]);
  for (std::string& warning : ControlWarnings(summary["control"])) {
    warnings.push_back(std::move(warning));
  }
  summary["flips"] = FindFlips(summary["cells"]);
  summary["expect"] = json::array();
  for (const json& entry : records.run.at("expect")) {
    INDOUBT_ASSIGN_OR_RETURN(const Check check,
                             ParseCheck(entry.at("check").get<std::string>()));
    summary["expect"].push_back(EvaluateCheck(check, summary["cells"]));
  }
  summary["warnings"] = warnings;
  return summary;
}

}  // namespace

Result<json> Summarise(const std::string& run_folder) {
  INDOUBT_ASSIGN_OR_RETURN(const RunRecords records, ReadRun(run_folder));
  try {
    return SummariseAll(run_folder, records);
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  run_folder + "/run.json: not as docs/run-format.md says: " + error.what());
  }
}

}  // namespace indoubt
