#include "experiments/scenario_reader.h"

#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/duration.h"

namespace indoubt {
namespace {

/// None of a list, a table or a date. JSON's strings are TOML's basic ones; its numbers and
/// words are the same.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return nlohmann::json(text->get()).dump();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* real = node.as_floating_point()) return nlohmann::json(real->get()).dump();
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  return std::nullopt;
}

/// It came from an override: it has no place in the file.
bool IsPlaceless(const toml::source_region& where) { return where.begin.line == 0; }

}  // namespace

void ScenarioErrors::Add(const toml::source_region& where, const std::string& key,
                         const std::string& what) {
  if (!status_.ok()) return;
  if (IsPlaceless(where)) {
    status_ = Status(StatusCode::kInvalidArgument,
                     fmt::format("{}: --set {}: {}", origin_, key, what));
    return;
  }
  status_ = Status(StatusCode::kInvalidArgument,
                   fmt::format("{}:{}:{}: {}: {}", origin_, where.begin.line,
                               where.begin.column, key, what));
}

std::string ScenarioTable::Path(const std::string& key) const {
  return name_.empty() ? key : name_ + "." + key;
}

const toml::node* ScenarioTable::Find(const std::string& key) {
  known_.insert(key);
  return table_.get(key);
}

void ScenarioTable::Wrong(const std::string& key, const std::string& what) {
  const toml::node* node = table_.get(key);
  errors_.Add(node == nullptr ? table_.source() : node->source(), Path(key), what);
}

bool ScenarioTable::IsOverridden(const std::string& key) const {
  const toml::node* node = table_.get(key);
  return node != nullptr && IsPlaceless(node->source());
}

void ScenarioTable::Require(const std::string& key) {
  if (!Has(key)) Wrong(key, "is missing");
}

void ScenarioTable::Read(const std::string& key, std::string& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  if (const auto* text = node->as_string()) {
    into = text->get();
  } else {
    Wrong(key, "must be a string");
  }
}

void ScenarioTable::Read(const std::string& key, double& into, double low, double high) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto number = node->value<double>();  // takes integers too
  if (!node->is_number() || !number || !(*number >= low && *number <= high)) {
    return Wrong(key, fmt::format("must be a number from {} to {}", low, high));
  }
  into = *number;
}

void ScenarioTable::Read(const std::string& key, int64_t& into, int64_t low, int64_t high) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < low || number->get() > high) {
    return Wrong(key, fmt::format("must be a whole number from {} to {}", low, high));
  }
  into = number->get();
}

void ScenarioTable::Read(const std::string& key, Duration& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* text = node->as_string();
  if (text == nullptr) return Wrong(key, "must be a duration with a unit, e.g. \"5s\"");
  auto duration = ParseDuration(text->get());
  if (!duration) return Wrong(key, duration.error().message());
  into = *duration;
}

void ScenarioTable::Read(const std::string& key, std::vector<std::string>& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  into.clear();
  if (const auto* list = node->as_array()) {
    for (const toml::node& each : *list) {
      if (const auto* text = each.as_string()) into.push_back(text->get());
    }
    if (into.size() == list->size()) return;
  }
  Wrong(key, "must be a list of strings");
}

void ScenarioTable::Read(const std::string& key, std::vector<int>& into, int64_t low,
                         int64_t high) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  into.clear();
  if (const auto* list = node->as_array()) {
    for (const toml::node& each : *list) {
      const auto* number = each.as_integer();
      if (number != nullptr && number->get() >= low && number->get() <= high) {
        into.push_back(static_cast<int>(number->get()));
      }
    }
    if (into.size() == list->size()) return;
  }
  Wrong(key, fmt::format("must be a list of whole numbers from {} to {}", low, high));
}

void ScenarioTable::Read(const std::string& key, bool& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* truth = node->as_boolean();
  if (truth == nullptr) return Wrong(key, "must be true or false");
  into = truth->get();
}

void ScenarioTable::Read(const std::string& key, std::vector<bool>& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  into.clear();
  if (const auto* list = node->as_array()) {
    for (const toml::node& each : *list) {
      if (const auto* truth = each.as_boolean()) into.push_back(truth->get());
    }
    if (into.size() == list->size()) return;
  }
  Wrong(key, "must be a list of true and false");
}

void ScenarioTable::Read(const std::string& key, std::map<std::string, std::string>& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto* table = node->as_table();
  if (table == nullptr) return Wrong(key, "must be a table of strings");
  for (const auto& [name, value] : *table) {
    const auto* text = value.as_string();
    if (text == nullptr) return Wrong(key, "must be a table of strings");
    into[std::string(name.str())] = text->get();
  }
}

void ScenarioTable::ReadScalar(const std::string& key, std::string& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  const auto text = ScalarText(*node);
  if (!text) return Wrong(key, "must be a string, a number or a truth value");
  into = *text;
}

void ScenarioTable::ReadScalars(const std::string& key, std::vector<std::string>& into) {
  const toml::node* node = Find(key);
  if (node == nullptr) return;
  into.clear();
  if (const auto* list = node->as_array()) {
    for (const toml::node& each : *list) {
      if (auto text = ScalarText(each)) into.push_back(std::move(*text));
    }
    if (into.size() == list->size()) return;
  }
  Wrong(key, "must be a list of strings, numbers or truth values");
}

std::vector<std::string> ScenarioTable::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : table_) keys.emplace_back(key.str());
  return keys;
}

ScenarioTable ScenarioTable::Table(const std::string& key) {
  static const toml::table empty;
  const toml::node* node = Find(key);
  if (node != nullptr && !node->is_table()) Wrong(key, "must be a table");
  const toml::table* table = node == nullptr ? nullptr : node->as_table();
  return ScenarioTable(table == nullptr ? empty : *table, Path(key), errors_);
}

std::vector<ScenarioTable> ScenarioTable::Tables(const std::string& key) {
  std::vector<ScenarioTable> tables;
  const toml::node* node = Find(key);
  if (node == nullptr) return tables;
  const auto* list = node->as_array();
  if (list == nullptr || !list->is_homogeneous(toml::node_type::table)) {
    if (list == nullptr || !list->empty())
      Wrong(key, "must be tables, written [[" + key + "]]");
    return tables;
  }
  for (const toml::node& each : *list) {
    tables.emplace_back(*each.as_table(), Path(key), errors_);
  }
  return tables;
}

void ScenarioTable::NoOthers() {
  for (const auto& [key, value] : table_) {
    if (known_.contains(std::string(key.str()))) continue;
    errors_.Add(value.source(), Path(std::string(key.str())), "no such key");
  }
}

}  // namespace indoubt
