#include "experiments/report/variation.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/parameter_number.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr const char* kPointKey = "fault.point.";

struct PanelFigure {
  const char* title;
  const char* figure;
  double per_unit;  // of the figure in one of the title's
};
constexpr std::array<PanelFigure, 5> kPanels{{
    {"committed per second", "throughput_per_s", 1},
    {"response p99, ms", "response_ms.p99", 1},
    {"longest wait of an outside writer, s", "blocked_ms.max", 1000},
    {"outside writers that waited over 100 ms", "blocked_over_100ms", 1},
    {"longest lag of derived data, s", "lag_ms.max", 1000},
}};

/// Whether cells of the same path have another value of it.
bool Varies(const json& summary, const json& cell, const std::string& key) {
  const json& cells = summary.at("cells");
  return std::any_of(cells.begin(), cells.end(), [&](const json& other) {
    return other.at("path") == cell.at("path") &&
           other.at("params").value(key, json()) != cell.at("params").value(key, json());
  });
}

/// The path, and what else varies: cells that differ in the parameter alone.
std::string SeriesName(const json& summary, const json& cell, const std::string& key) {
  std::string name = cell.at("path").get<std::string>();
  for (const auto& [other, value] : cell.at("params").items()) {
    if (other == key || !Varies(summary, cell, other)) continue;
    name += fmt::format(", {} {}", other.substr(other.rfind('.') + 1),
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

}  // namespace

std::vector<VariedParameter> VariedParameters(const json& summary) {
  struct Values {
    std::set<double> numbers;
    bool duration = false, others = false;
  };
  std::map<std::string, Values> by_key;
  for (const json& cell : summary.at("cells")) {
    for (const auto& [key, value] : cell.at("params").items()) {
      Values& values = by_key[key];
      const auto number = NumberOfParameter(value);
      values.others = values.others || !number;
      if (!number) continue;
      values.numbers.insert(number->number);
      values.duration = values.duration || number->duration;
    }
  }
  std::vector<VariedParameter> parameters;
  for (const auto& [key, values] : by_key) {
    if (values.others || values.numbers.size() < 2) continue;
    parameters.push_back({key, values.duration ? "s" : ""});
  }
  return parameters;
}

Table VariationTable(const json& summary, const VariedParameter& parameter) {
  Table table{{"path", parameter.key}, {}};
  for (const PanelFigure& panel : kPanels) table.header.emplace_back(panel.title);
  for (const json& cell : summary.at("cells")) {
    if (!cell.at("params").contains(parameter.key)) continue;
    const json& value = cell.at("params").at(parameter.key);
    std::vector<std::string> row{SeriesName(summary, cell, parameter.key),
                                 value.is_string() ? value.get<std::string>() : value.dump()};
    for (const PanelFigure& panel : kPanels) {
      const json figure = CellFigure(cell, panel.figure);
      row.push_back(figure.is_number()
                        ? fmt::format("{:.4g}", figure.get<double>() / panel.per_unit)
                        : "–");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table CrashPointTable(const json& summary) {
  Table table{
      {"died at", "path", "in doubt, longest", "outside writer waited, longest", "lag, longest",
       "caught up in", "operations refused", "inconsistent for good", "acknowledged and lost"},
      {}};
  const auto duration = [](const json& cell, const char* figure) {
    const std::string text = DurationText(cell, figure);
    return text == "not measured" ? std::string("–") : text;
  };
  for (const json& cell : summary.at("cells")) {
    for (const auto& [key, point] : cell.at("params").items()) {
      if (!key.starts_with(kPointKey) || !point.is_string()) continue;
      table.rows.push_back({point.get<std::string>(), cell.at("path").get<std::string>(),
                            duration(cell, "in_doubt_ms.max"), duration(cell, "blocked_ms.max"),
                            duration(cell, "lag_ms.max"), duration(cell, "catch_up_ms"),
                            NumberText(CellFigure(cell, "failed")),
                            NumberText(CellFigure(cell, "inconsistent.permanent")),
                            NumberText(CellFigure(cell, "lost_acknowledged"))});
    }
  }
  return table;
}

}  // namespace indoubt
