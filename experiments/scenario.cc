#include "experiments/scenario.h"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "base/failpoint.h"
#include "experiments/paths/path.h"
#include "experiments/scenario_expect.h"
#include "experiments/scenario_reader.h"

namespace indoubt {
namespace {

constexpr int64_t kMostClients = 1024;

Result<toml::table> Parse(std::string_view text, const std::string& origin) {
  try {
    return toml::parse(text, origin);
  } catch (const toml::parse_error& error) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}:{}:{}: {}", origin, error.source().begin.line,
                              error.source().begin.column, error.description()));
  }
}

/// Puts what `from` has into `into`, table by table.
void Merge(toml::table& into, const toml::table& from) {
  for (const auto& [key, value] : from) {
    toml::table* here = into[key.str()].as_table();
    if (here != nullptr && value.is_table()) {
      Merge(*here, *value.as_table());
    } else {
      into.insert_or_assign(key.str(), value);
    }
  }
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
  Merge(document, *parsed);
  return Status::Ok();
}

void ReadMatrix(ScenarioTable matrix, Scenario& scenario) {
  matrix.Require("paths");
  matrix.Read("paths", scenario.paths);
  matrix.Read("clients", scenario.client_counts, 1, kMostClients);
  matrix.Read("last_resource", scenario.last_resource);
  const auto takes_one = [](const std::string& path) { return CanHaveLastResource(path); };
  if (!scenario.last_resource.empty() &&
      std::none_of(scenario.paths.begin(), scenario.paths.end(), takes_one)) {
    matrix.Wrong("last_resource", "no path of the matrix has one; it is for 2pc, 2pc-embedded");
  }
  if (std::count(scenario.last_resource.begin(), scenario.last_resource.end(), true) > 1 ||
      std::count(scenario.last_resource.begin(), scenario.last_resource.end(), false) > 1) {
    matrix.Wrong("last_resource", "names true or false twice");
  }
  if (matrix.Has("paths") && scenario.paths.empty()) matrix.Wrong("paths", "names no path");
  std::set<std::string> seen;
  for (const std::string& path : scenario.paths) {
    if (auto made = MakePath(path); !made) matrix.Wrong("paths", made.error().message());
    if (!seen.insert(path).second) matrix.Wrong("paths", fmt::format("\"{}\" twice", path));
  }
  matrix.NoOthers();
}

void ReadLoad(ScenarioTable load, LoadPlan& plan) {
  std::string mode = ToString(plan.mode);
  load.Read("mode", mode);
  if (mode != "open" && mode != "closed") load.Wrong("mode", "must be \"open\" or \"closed\"");
  plan.mode = mode == "closed" ? LoadMode::kClosed : LoadMode::kOpen;
  load.Read("rate_per_s", plan.rate_per_s, 0.1, 1e6);
  if (plan.mode == LoadMode::kOpen) load.Require("rate_per_s");
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
  workload.NoOthers();
}

bool IsFailPoint(const std::string& point) {
  const std::string name = point.substr(0, point.find_first_of("@:"));
  for (const FailPoint& each : AllFailPoints()) {
    if (each.name == name) return true;
  }
  return false;
}

void ReadFaults(ScenarioTable& document, Scenario& scenario) {
  for (ScenarioTable& table : document.Tables("fault")) {
    FaultPlan fault;
    for (const char* key : {"at", "kind", "point", "down"}) table.Require(key);
    table.Read("at", fault.at);
    table.Read("kind", fault.kind);
    if (fault.kind != "kill") table.Wrong("kind", "must be \"kill\"");
    table.Read("point", fault.point);
    table.Read("down", fault.down);
    for (const auto& [path, point] : fault.point) {
      if (!IsFailPoint(point)) {
        table.Wrong("point",
                    fmt::format("no fail point \"{}\" (`indoubt list faults`)", point));
      }
      if (auto made = MakePath(path); !made) table.Wrong("point", made.error().message());
    }
    if (fault.at + fault.down >= scenario.load.duration) {
      table.Wrong("at", "at + down must lie within load.duration, or healing is not seen");
    }
    if (!scenario.faults.empty()) {
      table.Wrong("at", "only one fault a scenario is offered at present");
    }
    table.NoOthers();
    scenario.faults.push_back(std::move(fault));
  }
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
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) {
    std::string names;
    for (const BuiltinScenario& each : BuiltinScenarios()) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", each.name);
    }
    return Status(
        StatusCode::kNotFound,
        fmt::format("no scenario and no readable file \"{}\"; built in are {}", path, names));
  }
  return text.str();
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

std::vector<MatrixCell> CellsOf(const Scenario& scenario) {
  std::vector<MatrixCell> cells;
  const bool clients_vary = !scenario.client_counts.empty();
  const std::vector<int> counts =
      clients_vary ? scenario.client_counts : std::vector<int>{scenario.load.clients};
  for (const std::string& path : scenario.paths) {
    const bool varies = !scenario.last_resource.empty() && CanHaveLastResource(path);
    for (const bool last : varies ? scenario.last_resource : std::vector<bool>{false}) {
      for (const int clients : counts) {
        std::string name = path + (last ? "-last-resource" : "");
        if (clients_vary) name += fmt::format("-clients-{}", clients);
        cells.push_back({std::move(name), path, clients, clients_vary, last, varies});
      }
    }
  }
  return cells;
}

Result<Scenario> ParseScenario(std::string_view text, const std::string& origin,
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
