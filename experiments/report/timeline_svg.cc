#include <algorithm>

#include <fmt/format.h>

#include "experiments/report/charts.h"

namespace indoubt {
namespace {

constexpr int kWidth = 860;
constexpr double kLeft = 64, kRight = 120, kTop = 34, kPanel = 92, kGap = 40, kBottom = 40;

double Highest(const std::vector<Point>& points) {
  double highest = 0;
  for (const Point& point : points) highest = std::max(highest, point.y.value_or(0));
  return highest;
}

struct Series {
  const std::vector<Point>* points;
  std::string css, label;
};

struct Panel {
  std::string title, nothing;
  double highest = 0;
  std::vector<Series> series;
};

/// One panel with its axis; the last words of each line beside it.
void Draw(Svg& svg, const Panel& panel, const Scale& x, double top) {
  const double bottom = top + kPanel;
  const Scale y{0, panel.highest > 0 ? panel.highest * 1.08 : 1, bottom, top};
  svg.Text(kLeft, top - 6, panel.title, "panel");
  for (const double tick : NiceTicks(0, y.to, 3)) {
    svg.Line(x.pixel_from, y(tick), x.pixel_to, y(tick), "grid");
    svg.Text(kLeft - 8, y(tick) + 4, fmt::format("{:g}", tick), "tick", "end");
  }
  svg.Line(x.pixel_from, bottom, x.pixel_to, bottom, "axis");
  double label_y = top + 12;
  bool drawn = false;
  for (const Series& series : panel.series) {
    if (series.points->empty()) continue;
    svg.Path(*series.points, x, y, series.css);
    svg.Line(x.pixel_to + 8, label_y - 4, x.pixel_to + 26, label_y - 4, "line " + series.css);
    svg.Text(x.pixel_to + 31, label_y, series.label, "tick");
    label_y += 17;
    drawn = true;
  }
  if (!drawn) {
    svg.Text((x.pixel_from + x.pixel_to) / 2, (top + bottom) / 2, panel.nothing, "note",
             "middle");
  }
}

void DrawFaults(Svg& svg, const CellChart& chart, const Scale& x, double bottom) {
  for (const FaultBand& fault : chart.faults) {
    const double from = x(fault.from_s);
    const double to = x(fault.to_s.value_or(chart.end_s));
    svg.Rect(from, kTop - 18, std::max(2.0, to - from), bottom - kTop + 18, "fault");
    svg.Text(from + 4, kTop - 22, fault.label + (fault.to_s ? "" : ", never healed"),
             "faulttext");
  }
}

std::vector<Panel> Panels(const CellChart& chart, const std::vector<CellChart>& all) {
  Panel rate{"committed per second", "throughput was not measured", 0, {}};
  Panel doubt{"branches in doubt, outside writers waiting", "not measured", 0, {}};
  Panel lag{"lag of the derived stores, seconds", "lag was not measured on this path", 0, {}};
  for (const CellChart& other : all) {
    rate.highest = std::max(rate.highest, Highest(other.throughput));
    doubt.highest = std::max({doubt.highest, Highest(other.in_doubt), Highest(other.waiters)});
    for (const auto& [store, points] : other.lag_s) {
      lag.highest = std::max(lag.highest, Highest(points));
    }
  }
  rate.series = {{&chart.throughput, "a", "committed"}};
  doubt.series = {{&chart.in_doubt, "a", "in doubt"}, {&chart.waiters, "b", "waiting"}};
  const char* css[] = {"a", "b", "c"};
  size_t index = 0;
  for (const auto& [store, points] : chart.lag_s) {
    lag.series.push_back({&points, css[index++ % 3], store});
  }
  return {rate, doubt, lag};
}

}  // namespace

std::string TimelineSvg(const CellChart& chart, const std::vector<CellChart>& all) {
  const int height = static_cast<int>(kTop + 3 * kPanel + 2 * kGap + kBottom + 8);
  double end = 1;
  for (const CellChart& other : all) end = std::max(end, other.end_s);
  std::string description = fmt::format(
      "over {:.0f} seconds; throughput peaks at {:.0f} per second, {:.0f} branches in doubt at "
      "most",
      chart.end_s, Highest(chart.throughput), Highest(chart.in_doubt));
  for (const auto& [store, points] : chart.lag_s) {
    description += fmt::format(", lag of {} peaks at {:.1f} s", store, Highest(points));
  }
  for (const FaultBand& fault : chart.faults) {
    description += fmt::format("; {} from {:.1f} s", fault.label, fault.from_s);
    if (fault.to_s) description += fmt::format(" to {:.1f} s", *fault.to_s);
  }
  Svg svg(kWidth, height, "Timeline of " + chart.name, description);
  const Scale x{0, end, kLeft, kWidth - kRight};
  const double bottom = kTop + 3 * kPanel + 2 * kGap + 8;
  DrawFaults(svg, chart, x, bottom);
  double top = kTop + 8;
  for (const Panel& panel : Panels(chart, all)) {
    Draw(svg, panel, x, top);
    top += kPanel + kGap;
  }
  if (chart.measured_s > 0 && chart.measured_s < chart.end_s) {
    svg.Line(x(chart.measured_s), kTop + 8, x(chart.measured_s), bottom, "mark");
    svg.Text(x(chart.measured_s) + 3, bottom - 4, "load ends", "note");
  }
  for (const double tick : NiceTicks(0, end, 10)) {
    svg.Text(x(tick), bottom + 16, fmt::format("{:g}", tick), "tick", "middle");
  }
  svg.Text((x.pixel_from + x.pixel_to) / 2, bottom + 32, "seconds of the measured span", "tick",
           "middle");
  return svg.Finish();
}

}  // namespace indoubt
