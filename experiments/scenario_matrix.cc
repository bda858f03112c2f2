#include "experiments/scenario_matrix.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "experiments/paths/path.h"

namespace indoubt {
namespace {

/// Of "fault.point.PATH", which is of that path's cells alone; else empty.
std::string PathOfKey(const std::string& key) {
  constexpr std::string_view kPrefix = "fault.point.";
  return key.starts_with(kPrefix) ? key.substr(kPrefix.size()) : "";
}

void CheckKey(ScenarioTable& table, const std::string& key) {
  constexpr std::array<std::string_view, 3> kTables{"load.", "workload.", "fault."};
  const auto fits = [&](std::string_view prefix) { return key.starts_with(prefix); };
  if (std::none_of(kTables.begin(), kTables.end(), fits)) {
    table.Wrong(key, "only keys of load, workload and fault can vary, e.g. \"fault.down\"");
  }
  if (key == "load.clients") table.Wrong(key, "is written as matrix.clients");
}

void ReadVariations(ScenarioTable vary, Scenario& scenario) {
  for (const std::string& key : vary.Keys()) {
    CheckKey(vary, key);
    std::vector<std::string> values;
    vary.ReadScalars(key, values);
    if (vary.Has(key) && values.empty()) vary.Wrong(key, "names no value");
    std::vector<Variation> axis;
    for (std::string& value : values) axis.push_back({key, std::move(value)});
    if (!axis.empty()) scenario.vary.push_back(std::move(axis));
  }
}

/// After `paths` and `vary`.
void ReadAgain(ScenarioTable again, bool twice, Scenario& scenario) {
  for (const std::string& key : again.Keys()) {
    CheckKey(again, key);
    for (const std::vector<Variation>& axis : scenario.vary) {
      if (axis.front().key == key) again.Wrong(key, "varies over the matrix already");
    }
    if (!twice) again.Wrong(key, "no path of the matrix is named twice");
    std::string value;
    again.ReadScalar(key, value);
    scenario.again.push_back({key, std::move(value)});
  }
}

/// Whether some path is named twice.
bool CheckPaths(ScenarioTable& matrix, const Scenario& scenario) {
  if (matrix.Has("paths") && scenario.paths.empty()) matrix.Wrong("paths", "names no path");
  std::map<std::string, int> named;
  bool twice = false;
  for (const std::string& path : scenario.paths) {
    if (auto made = MakePath(path); !made) matrix.Wrong("paths", made.error().message());
    const int times = ++named[path];
    if (times > 2) matrix.Wrong("paths", fmt::format("\"{}\" more than twice", path));
    twice = twice || times == 2;
  }
  return twice;
}

/// A value as part of a cell's name, which is a folder's too.
std::string InName(const std::string& value) {
  std::string name;
  for (const char c : value) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                       (c >= 'A' && c <= 'Z') || c == '.' || c == '_' || c == '-';
    if (plain) name += c;
    if (c == '@' || c == ':') name += '-';
  }
  return name;
}

/// "-down-5s"; of a fail point, whose key ends with the path, the value alone.
std::string NamePart(const Variation& variation) {
  const std::string value = "-" + InName(variation.value);
  if (!PathOfKey(variation.key).empty()) return value;
  return "-" + variation.key.substr(variation.key.rfind('.') + 1) + value;
}

/// Every combination of the values that vary for `path`; one empty one when none does.
std::vector<std::vector<Variation>> CombinationsFor(
    const std::string& path, const std::vector<std::vector<Variation>>& axes) {
  std::vector<std::vector<Variation>> all{{}};
  for (const std::vector<Variation>& axis : axes) {
    const std::string only = PathOfKey(axis.front().key);
    if (!only.empty() && only != path) continue;
    std::vector<std::vector<Variation>> longer;
    for (const std::vector<Variation>& so_far : all) {
      for (const Variation& value : axis) {
        longer.push_back(so_far);
        longer.back().push_back(value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

void AddCellsOf(const std::string& path, bool again, const Scenario& scenario,
                std::vector<MatrixCell>& cells) {
  const bool clients_vary = !scenario.client_counts.empty();
  const std::vector<int> counts =
      clients_vary ? scenario.client_counts : std::vector<int>{scenario.load.clients};
  const bool varies = !scenario.last_resource.empty() && CanHaveLastResource(path);
  for (const bool last : varies ? scenario.last_resource : std::vector<bool>{false}) {
    for (std::vector<Variation>& variations : CombinationsFor(path, scenario.vary)) {
      std::string name = path + (again ? "-again" : "") + (last ? "-last-resource" : "");
      for (const Variation& each : variations) name += NamePart(each);
      if (again) {
        variations.insert(variations.end(), scenario.again.begin(), scenario.again.end());
      }
      for (const int clients : counts) {
        const std::string suffix = clients_vary ? fmt::format("-clients-{}", clients) : "";
        cells.push_back({.name = name + suffix,
                         .path = path,
                         .again = again,
                         .clients = clients,
                         .clients_vary = clients_vary,
                         .last_resource = last,
                         .last_resource_varies = varies,
                         .variations = variations});
      }
    }
  }
}

}  // namespace

void ReadMatrix(ScenarioTable matrix, Scenario& scenario) {
  matrix.Require("paths");
  matrix.Read("paths", scenario.paths);
  matrix.Read("clients", scenario.client_counts, 1, kMostClients);
  matrix.Read("last_resource", scenario.last_resource);
  ReadVariations(matrix.Table("vary"), scenario);
  const auto takes_one = [](const std::string& path) { return CanHaveLastResource(path); };
  if (!scenario.last_resource.empty() &&
      std::none_of(scenario.paths.begin(), scenario.paths.end(), takes_one)) {
    matrix.Wrong("last_resource", "no path of the matrix has one; it is for 2pc, 2pc-embedded");
  }
  if (std::count(scenario.last_resource.begin(), scenario.last_resource.end(), true) > 1 ||
      std::count(scenario.last_resource.begin(), scenario.last_resource.end(), false) > 1) {
    matrix.Wrong("last_resource", "names true or false twice");
  }
  ReadAgain(matrix.Table("again"), CheckPaths(matrix, scenario), scenario);
  matrix.NoOthers();
}

std::vector<MatrixCell> CellsOf(const Scenario& scenario) {
  std::vector<MatrixCell> cells;
  for (auto path = scenario.paths.begin(); path != scenario.paths.end(); ++path) {
    const bool again = std::find(scenario.paths.begin(), path, *path) != path;
    AddCellsOf(*path, again, scenario, cells);
  }
  return cells;
}

}  // namespace indoubt
