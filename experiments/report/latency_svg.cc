#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "experiments/report/charts.h"
#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr int kWidth = 860;
constexpr double kLeft = 78, kRight = 150;

std::string TickText(double milliseconds) {
  if (milliseconds >= 1000) return fmt::format("{:g} s", milliseconds / 1000);
  return fmt::format("{:g} ms", milliseconds);
}

/// Whole decades around what was seen; a value of 0 shows at the lower edge.
Scale LogScale(double lowest, double highest, double pixel_from, double pixel_to) {
  const double low = std::max(0.001, lowest);
  const double from = std::pow(10.0, std::floor(std::log10(low)));
  const double to =
      std::max(from * 10, std::pow(10.0, std::ceil(std::log10(std::max(low, highest)))));
  return Scale{from, to, pixel_from, pixel_to, true};
}

std::string SeriesClass(size_t index) { return fmt::format("s{}", index % 6); }

void PercentileAxes(Svg& svg, const Scale& x, const Scale& y) {
  for (const double tick : LogTicks(y.from, y.to)) {
    svg.Line(x.pixel_from, y(tick), x.pixel_to, y(tick), "grid");
    svg.Text(kLeft - 8, y(tick) + 4, TickText(tick), "tick", "end");
  }
  static constexpr std::array<std::pair<double, const char*>, 5> kTicks{
      {{1, "min"}, {0.5, "p50"}, {0.1, "p90"}, {0.01, "p99"}, {0.001, "p99.9"}}};
  for (const auto& [tail, name] : kTicks) {
    svg.Line(x(tail), y.pixel_to, x(tail), y.pixel_from, "grid");
    svg.Text(x(tail), y.pixel_from + 18, name, "tick", "middle");
  }
  svg.Line(x.pixel_from, y.pixel_from, x.pixel_to, y.pixel_from, "axis");
}

struct Waiting {
  const char* figure;
  const char* title;
};
constexpr std::array<Waiting, 3> kWaiting{
    {{"in_doubt_ms", "in doubt"}, {"blocked_ms", "writers blocked"}, {"lag_ms", "lag"}}};

void WaitingRow(Svg& svg, const json& cell, const Waiting& row, const Scale& x, double y,
                const std::string& css) {
  const std::string figure = row.figure;
  svg.Text(x.pixel_from - 10, y + 4, row.title, "tick", "end");
  const json low = CellFigure(cell, figure + ".p50");
  const json high = CellFigure(cell, figure + ".max");
  const json tail = CellFigure(cell, figure + ".p99");
  if (!low.is_number() || !high.is_number()) {
    const bool looked = CellFigure(cell, figure + ".n").is_number();
    const bool prepares =
        figure != "in_doubt_ms" || HasTwoPhaseCommit(cell.at("path").get<std::string>());
    svg.Text(x.pixel_from + 6, y + 4,
             looked     ? "none was seen"
             : prepares ? "not measured on this path"
                        : "nothing is prepared on this path",
             "note");
    return;
  }
  const double from = x(low.get<double>());
  const double to = x(high.get<double>());
  svg.Rect(from, y - 5, std::max(2.0, to - from), 10, "bar " + css);
  if (tail.is_number()) {
    svg.Line(x(tail.get<double>()), y - 8, x(tail.get<double>()), y + 8, "mark99");
  }
  svg.Text(to + 8, y + 4, "max " + DurationText(high), "tick");
}

}  // namespace

std::string PercentileSvg(const std::vector<CellChart>& charts) {
  constexpr int kHeight = 340;
  double lowest = 1e9, highest = 0;
  std::string description = "by percentile from the intended start";
  for (const CellChart& chart : charts) {
    for (const auto* points : {&chart.response, &chart.service}) {
      for (const Point& point : *points) {
        lowest = std::min(lowest, point.y.value_or(lowest));
        highest = std::max(highest, point.y.value_or(highest));
      }
    }
    if (!chart.response.empty()) {
      description +=
          fmt::format("; {} reaches {}", chart.name, DurationText(*chart.response.back().y));
    }
  }
  Svg svg(kWidth, kHeight, "Response and service times", description);
  if (highest <= 0) {
    svg.Text(kWidth / 2.0, kHeight / 2.0, "response times were not measured", "note", "middle");
    return svg.Finish();
  }
  constexpr double kLegend = kWidth - kRight + 14;
  // By the tail that is left, so that each further nine gets the same room.
  const Scale x{0.001, 1, kWidth - kRight, kLeft, true};
  const Scale y = LogScale(lowest, highest, kHeight - 40, 16);
  PercentileAxes(svg, x, y);
  double label = 28;
  for (size_t i = 0; i < charts.size(); ++i) {
    svg.Path(charts[i].service, x, y, SeriesClass(i) + " dashed");
    svg.Path(charts[i].response, x, y, SeriesClass(i));
    svg.Line(kLegend, label - 4, kLegend + 20, label - 4, "line " + SeriesClass(i));
    svg.Text(kLegend + 26, label, charts[i].name, "tick");
    label += 18;
  }
  svg.Text(kLegend, label + 8, "solid: response", "note");
  svg.Text(kLegend, label + 24, "dashed: service", "note");
  return svg.Finish();
}

std::string WaitingSvg(const json& summary) {
  const json& cells = summary.at("cells");
  constexpr double kRow = 24, kHead = 26, kTop = 10;
  const double body = static_cast<double>(cells.size()) * (kHead + kRow * kWaiting.size());
  const int height = static_cast<int>(kTop + body + 44);
  double lowest = 1e9, highest = 1;
  std::string description = "what waited, p50 to the maximum";
  for (const json& cell : cells) {
    description += "; " + cell.at("name").get<std::string>();
    for (const Waiting& row : kWaiting) {
      const json low = CellFigure(cell, std::string(row.figure) + ".p50");
      const json high = CellFigure(cell, std::string(row.figure) + ".max");
      if (low.is_number()) lowest = std::min(lowest, low.get<double>());
      if (high.is_number()) highest = std::max(highest, high.get<double>());
      description += fmt::format(", {}: {}", row.title,
                                 DurationText(cell, std::string(row.figure) + ".max"));
    }
  }
  Svg svg(kWidth, height, "In doubt and blocked against lag", description);
  Scale x = LogScale(std::clamp(lowest, 0.1, highest), highest, kLeft + 40, kWidth - kRight);
  for (const double tick : LogTicks(x.from, x.to)) {
    svg.Line(x(tick), kTop, x(tick), kTop + body, "grid");
    svg.Text(x(tick), kTop + body + 18, TickText(tick), "tick", "middle");
  }
  double y = kTop;
  for (size_t i = 0; i < cells.size(); ++i) {
    svg.Text(8, y + 16, cells[i].at("name").get<std::string>(), "panel");
    y += kHead;
    for (const Waiting& row : kWaiting) {
      WaitingRow(svg, cells[i], row, x, y + kRow / 2, SeriesClass(i));
      y += kRow;
    }
  }
  svg.Text(kLeft + 40, kTop + body + 36, "bar: p50 to maximum, stroke: p99; logarithmic",
           "note");
  return svg.Finish();
}

}  // namespace indoubt
