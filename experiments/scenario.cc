#include "experiments/scenario.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <sstream>

#include <fmt/format.h>

#include "base/small_file.h"
#include "experiments/scenario_expect.h"
#include "experiments/scenario_faults.h"
#include "experiments/scenario_matrix.h"
#include "experiments/scenario_reader.h"

namespace indoubt {
namespace {

Result<toml::table> Parse(std::string_view text, const std::string& origin) {
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}:{}:{}: {}", origin, error.source().begin.line,
                              error.source().begin.column, error.description()));
  }
}

/// Puts what `from` has into `into`, table by table. A table over a list of tables goes into
/// each of them: fault.down is that of [[fault]]. What varies is replaced whole: who names
/// other axes does not want those of the file beside them.
void Merge(toml::table& into, const toml::table& from) {
  for (const auto& [key, value] : from) {
    toml::table* here = into[key.str()].as_table();
    toml::array* list = into[key.str()].as_array();
    if (list != nullptr && value.is_table() && !list->empty()) {
      for (toml::node& each : *list) {
        if (each.is_table()) Merge(*each.as_table(), *value.as_table());
      }
      continue;
    }
    if (here != nullptr && value.is_table() && key.str() != "vary") {
      Merge(*here, *value.as_table());
    } else {
      into.insert_or_assign(key.str(), value);
    }
  }
}

/// "fault.down=3s" is that of [[fault]]: without one there is nothing to change.
Status CheckThereToChange(const toml::table& document, const toml::table& change,
                          const std::string& origin) {
  for (const char* key : {"fault", "expect"}) {
    const toml::array* list = document[key].as_array();
    if (!change[key].is_table() || (list != nullptr && !list->empty())) continue;
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{0}: this scenario has no [[{1}]] to change; give it a whole one: "
                    "--set '{1}=[{{...}}]', or write a scenario of your own",
                    origin, key));
  }
  return Status::Ok();
}

Status Override(toml::table& document, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  const std::string origin = "--set " + assignment;
  if (equals == std::string::npos) {
    return Status(StatusCode::kInvalidArgument, origin + ": the form is key.path=value");
  }
  auto parsed = Parse(assignment, origin);
  if (!parsed) {
    // Not TOML as it stands: a bare word is meant as a string.
    const std::string quoted =
        assignment.substr(0, equals) + "='" + assignment.substr(equals + 1) + "'";
    parsed = Parse(quoted, origin);
  }
  if (!parsed) return parsed.error();
  INDOUBT_RETURN_IF_ERROR(CheckThereToChange(document, *parsed, origin));
  Merge(document, *parsed);
  return Status::Ok();
}

void ReadLoad(ScenarioTable load, LoadPlan& plan) {
  std::string mode = ToString(plan.mode);
  load.Read("mode", mode);
  if (mode != "open" && mode != "closed") load.Wrong("mode", "must be \"open\" or \"closed\"");
  plan.mode = mode == "closed" ? LoadMode::kClosed : LoadMode::kOpen;
  load.Read("rate_per_s", plan.rate_per_s, 0.1, 1e6);
  if (plan.mode == LoadMode::kOpen) load.Require("rate_per_s");
  // One that the file has may stay beside --set load.mode=closed.
  if (plan.mode == LoadMode::kClosed && load.IsOverridden("rate_per_s")) {
    load.Wrong("rate_per_s",
               "has no meaning in a closed loop, where the answers set the rate; with "
               "load.mode=open it has");
  }
  int64_t clients = plan.clients;
  load.Read("clients", clients, 1, kMostClients);
  plan.clients = static_cast<int>(clients);
  load.Read("warmup", plan.warmup);
  load.Read("duration", plan.duration);
  load.Read("drain", plan.drain);
  if (plan.duration <= Duration::zero()) load.Wrong("duration", "must be above 0");
  load.NoOthers();
}

void ReadWorkload(ScenarioTable workload, ShopOptions& options) {
  workload.Read("accounts", options.accounts, 1, 1'000'000);
  workload.Read("items", options.items, 1, 1'000'000);
  workload.Read("zipf", options.zipf, 0, 10);
  workload.Read("set_price_share", options.set_price_share, 0, 1);
  workload.Read("token_reads", options.token_reads);
  workload.NoOthers();
}

/// The names of the matrix as it stands; what is wrong with it is told elsewhere.
std::vector<std::string> WrittenCells(const toml::table& document) {
  Scenario written;
  ScenarioErrors ignored("");
  ReadMatrix(ScenarioTable(document, "", ignored).Table("matrix"), written);
  std::vector<std::string> names;
  for (const MatrixCell& cell : CellsOf(written)) names.push_back(cell.name);
  return names;
}

/// So that the resolved text is a valid scenario by itself.
void LeaveOut(const std::vector<size_t>& expectations, toml::table& document) {
  toml::array* list = document["expect"].as_array();
  if (list == nullptr) return;
  for (auto index = expectations.rbegin(); index != expectations.rend(); ++index) {
    list->erase(list->begin() + static_cast<std::ptrdiff_t>(*index));
  }
  if (list->empty()) document.erase("expect");
}

Result<std::string> ReadWhole(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{} is a folder; name a scenario's file, e.g. {}/scenario.toml of "
                    "a run",
                    path, path));
  }
  if (std::filesystem::exists(path, error)) return ReadSmallFile(path);
  std::string names;
  for (const BuiltinScenario& each : BuiltinScenarios()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
  }
  return Status(
      StatusCode::kNotFound,
      fmt::format("no scenario and no readable file \"{}\"; built in are {}", path, names));
}

}  // namespace

const char* ToString(LoadMode mode) {
  switch (mode) {
    case LoadMode::kOpen:
      return "open";
    case LoadMode::kClosed:
      return "closed";
  }
  return "?";
}

namespace {

/// All but whether the values that vary are good ones.
Result<Scenario> ParseOnce(std::string_view text, const std::string& origin,
                           std::span<const std::string> overrides) {
  INDOUBT_ASSIGN_OR_RETURN(toml::table document, Parse(text, origin));
  const std::vector<std::string> written_cells = WrittenCells(document);
  for (const std::string& each : overrides) {
    INDOUBT_RETURN_IF_ERROR(Override(document, each));
  }
  Scenario scenario;
  ScenarioErrors errors(origin);
  ScenarioTable top(document, "", errors);
  top.Require("name");
  top.Read("name", scenario.name);
  if (top.Has("name") && !IsValidName(scenario.name)) {
    top.Wrong("name", "must be 1 to 32 of A-Z a-z 0-9 _ -");
  }
  top.Read("question", scenario.question);
  top.Require("matrix");
  ReadMatrix(top.Table("matrix"), scenario);
  top.Require("load");
  ReadLoad(top.Table("load"), scenario.load);
  ReadWorkload(top.Table("workload"), scenario.workload);
  ReadFaults(top, scenario);
  ScenarioTable stats = top.Table("stats");
  int64_t repeat = scenario.repeat;
  int64_t seed = static_cast<int64_t>(scenario.seed);
  stats.Read("repeat", repeat, 1, 1000);
  stats.Read("seed", seed, 0, INT64_MAX);
  stats.NoOthers();
  scenario.repeat = static_cast<int>(repeat);
  scenario.seed = static_cast<uint64_t>(seed);
  const std::vector<size_t> left_out = ReadExpectations(top, written_cells, scenario);
  top.NoOthers();
  INDOUBT_RETURN_IF_ERROR(errors.status());
  LeaveOut(left_out, document);
  std::ostringstream resolved;
  resolved << document << "\n";
  scenario.resolved = resolved.str();
  return scenario;
}

Result<Scenario> ParseCell(const Scenario& scenario, const MatrixCell& cell,
                           const std::string& origin) {
  std::vector<std::string> overrides;
  overrides.reserve(cell.variations.size());
  for (const Variation& each : cell.variations) {
    overrides.push_back(each.key + "=" + each.value);
  }
  return ParseOnce(scenario.resolved, origin, overrides);
}

}  // namespace

Result<Scenario> ParseScenario(std::string_view text, const std::string& origin,
                               std::span<const std::string> overrides) {
  INDOUBT_ASSIGN_OR_RETURN(Scenario scenario, ParseOnce(text, origin, overrides));
  for (const MatrixCell& cell : CellsOf(scenario)) {
    INDOUBT_RETURN_IF_ERROR(
        ParseCell(scenario, cell, fmt::format("{}: matrix.vary: {}", origin, cell.name))
            .status());
  }
  return scenario;
}

Duration EstimatedDuration(const Scenario& scenario) {
  // Servers, tables, the path's start, the drain and the comparison, on two idle cores.
  constexpr Duration kAround = std::chrono::seconds(6);
  Duration all{};
  for (const MatrixCell& cell : CellsOf(scenario)) {
    const auto here = ScenarioOf(scenario, cell);
    const LoadPlan& load = here ? here->load : scenario.load;
    all += (load.warmup + load.duration + kAround) * scenario.repeat;
  }
  return all;
}

Result<Scenario> ScenarioOf(const Scenario& scenario, const MatrixCell& cell) {
  if (cell.variations.empty()) return scenario;
  return ParseCell(scenario, cell, scenario.name + ".toml");
}

Result<Scenario> LoadScenario(const std::string& name_or_path,
                              std::span<const std::string> overrides) {
  for (const BuiltinScenario& each : BuiltinScenarios()) {
    if (each.name == name_or_path) {
      return ParseScenario(each.text, fmt::format("{}.toml", each.name), overrides);
    }
  }
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, ReadWhole(name_or_path));
  return ParseScenario(text, name_or_path, overrides);
}

}  // namespace indoubt
