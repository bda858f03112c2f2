#include "experiments/report/variation.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "experiments/report/svg.h"
#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"
#include "experiments/summary/parameter_number.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int kWidth = 860;
constexpr double kLeft = 64, kRight = 170, kTop = 30, kPanel = 110, kGap = 46, kBottom = 40;
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

/// The path, and what else varies: cells that differ in the parameter alone.
std::string SeriesName(const json& cell, const std::string& key) {
  std::string name = cell.at("path").get<std::string>();
  for (const auto& [other, value] : cell.at("params").items()) {
    if (other == key) continue;
    name += fmt::format(", {} {}", other.substr(other.rfind('.') + 1),
                        value.is_string() ? value.get<std::string>() : value.dump());
  }
  return name;
}

struct Mark {
  double x = 0;
  std::optional<double> y, low, high;
};

/// Marks by series, from the smallest value to the largest.
using SeriesMarks = std::map<std::string, std::vector<Mark>>;

std::optional<double> BoundOf(const json& cell, const std::string& figure, const char* bound) {
  const json& stats = cell.at("stats");
  if (!stats.contains(figure) || !stats.at(figure).at(bound).is_number()) return std::nullopt;
  return stats.at(figure).at(bound).get<double>();
}

SeriesMarks MarksOf(const json& summary, const std::string& key, const PanelFigure& panel) {
  SeriesMarks all;
  for (const json& cell : summary.at("cells")) {
    if (!cell.at("params").contains(key)) continue;
    const auto x = NumberOfParameter(cell.at("params").at(key));
    if (!x) continue;
    Mark mark{x->number,
              {},
              BoundOf(cell, panel.figure, "ci_low"),
              BoundOf(cell, panel.figure, "ci_high")};
    const json value = CellFigure(cell, panel.figure);
    if (value.is_number()) mark.y = value.get<double>();
    for (auto* number : {&mark.y, &mark.low, &mark.high}) {
      if (*number) **number /= panel.per_unit;
    }
    all[SeriesName(cell, key)].push_back(mark);
  }
  for (auto& [name, marks] : all) {
    std::sort(marks.begin(), marks.end(),
              [](const Mark& a, const Mark& b) { return a.x < b.x; });
  }
  return all;
}

double Highest(const SeriesMarks& series) {
  double highest = 0;
  for (const auto& [name, marks] : series) {
    for (const Mark& mark : marks) {
      highest = std::max({highest, mark.y.value_or(0), mark.high.value_or(0)});
    }
  }
  return highest;
}

bool HasAny(const SeriesMarks& series) {
  for (const auto& [name, marks] : series) {
    for (const Mark& mark : marks) {
      if (mark.y) return true;
    }
  }
  return false;
}

void DrawPanel(Svg& svg, const char* title, const SeriesMarks& series, const Scale& x,
               double top) {
  const double bottom = top + kPanel;
  const double highest = Highest(series);
  const Scale y{0, highest > 0 ? highest * 1.08 : 1, bottom, top};
  svg.Text(kLeft, top - 8, title, "panel");
  for (const double tick : NiceTicks(0, y.to, 4)) {
    svg.Line(x.pixel_from, y(tick), x.pixel_to, y(tick), "grid");
    svg.Text(kLeft - 8, y(tick) + 4, fmt::format("{:g}", tick), "tick", "end");
  }
  svg.Line(x.pixel_from, bottom, x.pixel_to, bottom, "axis");
  double label_y = top + 12;
  size_t index = 0;
  for (const auto& [name, marks] : series) {
    const std::string css = fmt::format("s{}", index++ % 6);
    std::vector<Point> points;
    for (const Mark& mark : marks) {
      points.push_back({mark.x, mark.y});
      if (mark.y) svg.Rect(x(mark.x) - 3, y(*mark.y) - 3, 6, 6, "bar " + css);
      if (mark.low && mark.high) {
        svg.Line(x(mark.x), y(*mark.low), x(mark.x), y(*mark.high), "line " + css);
      }
    }
    svg.Path(points, x, y, css);
    svg.Line(x.pixel_to + 12, label_y - 4, x.pixel_to + 30, label_y - 4, "line " + css);
    svg.Text(x.pixel_to + 35, label_y, name, "tick");
    label_y += 17;
  }
}

/// "2pc 0.1 to 15.1, cdc 1.7 to 15.1": what a screen reader hears.
std::string Spoken(const char* title, const SeriesMarks& series) {
  std::string text = fmt::format("; {}:", title);
  for (const auto& [name, marks] : series) {
    if (marks.empty() || !marks.front().y || !marks.back().y) continue;
    text += fmt::format(" {} {:.3g} to {:.3g},", name, *marks.front().y, *marks.back().y);
  }
  text.pop_back();
  return text;
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

std::string VariationSvg(const json& summary, const VariedParameter& parameter) {
  std::vector<std::pair<const char*, SeriesMarks>> panels;
  for (const PanelFigure& panel : kPanels) {
    SeriesMarks marks = MarksOf(summary, parameter.key, panel);
    if (HasAny(marks)) panels.emplace_back(panel.title, std::move(marks));
  }
  double from = 0, to = 0;
  std::string description = "from the smallest value to the largest";
  bool first = true;
  for (const auto& [title, series] : panels) {
    description += Spoken(title, series);
    for (const auto& [name, marks] : series) {
      for (const Mark& mark : marks) {
        from = first ? mark.x : std::min(from, mark.x);
        to = first ? mark.x : std::max(to, mark.x);
        first = false;
      }
    }
  }
  if (panels.empty() || !(to > from)) return "";
  const double all = static_cast<double>(panels.size());
  Svg svg(kWidth, static_cast<int>(kTop + all * (kPanel + kGap) + kBottom),
          "What changes with " + parameter.key, description);
  const Scale x{from, to, kLeft + 8, kWidth - kRight - 8};
  double top = kTop;
  for (const auto& [title, series] : panels) {
    DrawPanel(svg, title, series, x, top);
    for (const double tick : NiceTicks(from, to, 8)) {
      svg.Text(x(tick), top + kPanel + 16, fmt::format("{:g}", tick), "tick", "middle");
    }
    top += kPanel + kGap;
  }
  const std::string axis = parameter.unit.empty()
                               ? parameter.key
                               : fmt::format("{}, {}", parameter.key, parameter.unit);
  svg.Text((x.pixel_from + x.pixel_to) / 2, top + 8, axis, "tick", "middle");
  return svg.Finish();
}

Table VariationTable(const json& summary, const VariedParameter& parameter) {
  Table table{{"path", parameter.key}, {}};
  for (const PanelFigure& panel : kPanels) table.header.emplace_back(panel.title);
  for (const json& cell : summary.at("cells")) {
    if (!cell.at("params").contains(parameter.key)) continue;
    const json& value = cell.at("params").at(parameter.key);
    std::vector<std::string> row{SeriesName(cell, parameter.key),
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
