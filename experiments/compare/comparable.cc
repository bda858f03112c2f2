#include "experiments/compare/comparable.h"

#include <filesystem>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "experiments/summary/environment_difference.h"
#include "experiments/summary/warnings.h"

namespace indoubt {
namespace {

using nlohmann::json;
using Flat = std::map<std::string, std::string>;

template <typename Node>
std::string TomlText(const Node& node) {
  std::ostringstream text;
  text << node;
  return text.str();
}

void Flatten(const toml::node& node, const std::string& prefix, Flat& out) {
  if (const toml::table* table = node.as_table()) {
    for (const auto& [key, child] : *table) {
      Flatten(child, fmt::format("{}.{}", prefix, std::string_view(key.str())), out);
    }
  } else if (const toml::array* array = node.as_array(); array && array->is_array_of_tables()) {
    for (size_t i = 0; i < array->size(); ++i) {
      Flatten(*array->get(i), fmt::format("{}[{}]", prefix, i + 1), out);
    }
  } else {
    node.visit([&](const auto& value) { out[prefix] = TomlText(value); });
  }
}

/// What the scenario does to the stores; not which cells of it were run (they are matched
/// one by one), how often, or what was expected.
Result<Flat> Conditions(const std::string& folder) {
  const std::string path = folder + "/scenario.toml";
  if (!std::filesystem::exists(path)) {
    return Status(StatusCode::kNotFound,
                  path + ": not there; what this run did to the stores is not known");
  }
  try {
    const toml::table document = toml::parse_file(path);
    Flat conditions;
    for (const char* part : {"load", "workload", "fault"}) {
      if (const toml::node* node = document.get(part)) Flatten(*node, part, conditions);
    }
    return conditions;
  } catch (const toml::parse_error& error) {
    return Status(StatusCode::kCorrupt,
                  fmt::format("{}: {}", path, std::string_view(error.description())));
  }
}

void AddDifferences(const Flat& base, const Flat& candidate, std::vector<std::string>& found) {
  std::map<std::string, std::pair<std::string, std::string>> both;
  for (const auto& [key, value] : base) both[key].first = value;
  for (const auto& [key, value] : candidate) both[key].second = value;
  const auto text = [](const std::string& value) { return value.empty() ? "unset" : value; };
  for (const auto& [key, values] : both) {
    if (values.first == values.second) continue;
    found.push_back(
        fmt::format("{} is {} and {}", key, text(values.first), text(values.second)));
  }
}

void AddDoubts(const char* which, const json& summary, std::vector<std::string>& warnings) {
  const std::string status = summary.at("run").at("status").get<std::string>();
  if (status != "done") warnings.push_back(fmt::format("the {} is {}", which, status));
  if (const auto reason = VoidReason(summary.at("env"))) {
    warnings.push_back(fmt::format("the {}: {}", which, *reason));
  }
  for (const json& cell : summary.at("cells")) {
    for (const json& rep : cell.at("reps")) {
      if (!LoadFellBehind(rep)) continue;
      warnings.push_back(fmt::format(
          "the {}: the load of {} repetition {} fell behind; its response times are too good",
          which, cell.at("name").get<std::string>(), rep.at("n").get<int64_t>()));
    }
  }
}

}  // namespace

Status CheckComparable(const std::string& base_folder, const json& base,
                       const std::string& candidate_folder, const json& candidate,
                       std::vector<std::string>& warnings) {
  std::vector<std::string> forbidden;
  AddDifference(base, candidate, "/run/scenario", "the scenario", forbidden);
  if (forbidden.empty()) {
    INDOUBT_ASSIGN_OR_RETURN(const Flat left, Conditions(base_folder));
    INDOUBT_ASSIGN_OR_RETURN(const Flat right, Conditions(candidate_folder));
    AddDifferences(left, right, forbidden);
  }
  const EnvironmentDifferences places =
      CompareEnvironments(base.at("env"), "the base", candidate.at("env"), "the candidate");
  for (const auto* lines : {&places.durability, &places.machine}) {
    forbidden.insert(forbidden.end(), lines->begin(), lines->end());
  }
  if (!forbidden.empty()) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("these runs cannot be compared: {} (base and candidate); run both "
                    "on the same machine with the same scenario and settings",
                    fmt::join(forbidden, "; ")));
  }
  AddDifference(base, candidate, "/run/seed", "the seed", warnings);
  for (const auto* lines : {&places.versions, &places.doubtful}) {
    warnings.insert(warnings.end(), lines->begin(), lines->end());
  }
  AddDoubts("base", base, warnings);
  AddDoubts("candidate", candidate, warnings);
  return Status::Ok();
}

}  // namespace indoubt
