#include "experiments/report/page_data.h"

#include <array>
#include <cmath>

#include "experiments/report/variation.h"
#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/figures.h"

namespace indoubt {
namespace {

using nlohmann::json;

/// Four significant digits are more than a picture shows, and half the size. Counts stay.
double Rounded(double value) {
  if (value == std::floor(value) || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

json Number(const std::optional<double>& value) {
  return value ? json(Rounded(*value)) : json();
}

json LineJson(const std::vector<Point>& points) {
  json line = json::array();
  for (const Point& point : points) line.push_back({Rounded(point.x), Number(point.y)});
  return line;
}

json SurvivalJson(const SurvivalCurve& survival) {
  return {
      {"curve", LineJson(survival.curve)}, {"n", survival.n}, {"censored", survival.censored}};
}

json Rounded(const json& value) {
  return value.is_number_float() ? json(Rounded(value.get<double>())) : value;
}

/// The median (of figures of correctness the worst), its interval, and each repetition's; null
/// for one that counts in no statistic either.
json FigureJson(const json& cell, const std::string& figure) {
  json reps = json::array();
  for (const json& rep : cell.at("reps")) {
    const json::json_pointer at = FigurePointer(figure);
    const bool counts =
        CountsOverRepetitions(rep.at("status")) && rep.contains(at) && rep.at(at).is_number();
    reps.push_back(counts ? Rounded(rep.at(at)) : json());
  }
  const json stat = cell.at("stats").value(figure, json::object());
  return {{"value", Rounded(CellFigure(cell, figure))},
          {"low", Rounded(stat.value("ci_low", json()))},
          {"high", Rounded(stat.value("ci_high", json()))},
          {"reps", std::move(reps)}};
}

json CellJson(const json& cell) {
  // The figures that some chart draws or some table beside it names.
  static constexpr std::array kFigures{"attempted",
                                       "failed",
                                       "throughput_per_s",
                                       "response_ms.p50",
                                       "response_ms.p90",
                                       "response_ms.p99",
                                       "response_ms.p999",
                                       "response_ms.max",
                                       "service_ms.p50",
                                       "service_ms.p99",
                                       "in_doubt_ms.max",
                                       "blocked_ms.max",
                                       "blocked_over_100ms",
                                       "lag_ms.max",
                                       "catch_up_ms",
                                       "inconsistent.transient",
                                       "inconsistent.permanent",
                                       "lost_acknowledged",
                                       "resurrected",
                                       "leftovers",
                                       "fractured_reads",
                                       "reads"};
  json figures = json::object();
  for (const char* figure : kFigures) figures[figure] = FigureJson(cell, figure);
  return {{"name", cell.at("name")},
          {"path", cell.at("path")},
          {"params", cell.at("params")},
          {"figures", std::move(figures)}};
}

json TransactionJson(const TransactionLanes& transaction) {
  json spans = json::array();
  for (const LaneSpan& span : transaction.spans) {
    spans.push_back({{"lane", span.lane},
                     {"kind", span.kind},
                     {"label", span.label},
                     {"from_ms", Rounded(span.from_ms)},
                     {"to_ms", Number(span.to_ms)}});
  }
  return {{"id", transaction.id},
          {"why", transaction.why},
          {"outcome", transaction.outcome},
          {"spans", std::move(spans)}};
}

json RecoveryJson(const std::vector<RecoveryStage>& stages) {
  json all = json::array();
  for (const RecoveryStage& stage : stages) {
    all.push_back({{"name", stage.name},
                   {"to_s", Number(stage.to_s)},
                   {"reason", stage.to_s ? json() : json(stage.reason)}});
  }
  return all;
}

json SeriesJson(const CellChart& chart) {
  json series = {{"cell", chart.name},
                 {"rep", chart.rep},
                 {"measured_s", Rounded(chart.measured_s)},
                 {"end_s", Rounded(chart.end_s)},
                 {"faults", json::array()},
                 {"throughput", LineJson(chart.throughput)},
                 {"in_doubt", LineJson(chart.in_doubt)},
                 {"waiters", LineJson(chart.waiters)},
                 {"lag_s", json::object()},
                 {"response", LineJson(chart.response)},
                 {"service", LineJson(chart.service)},
                 {"blocking", chart.blocking ? SurvivalJson(*chart.blocking) : json()},
                 {"staleness", json::object()},
                 {"undisturbed", json()},
                 {"recovery", RecoveryJson(chart.recovery)},
                 {"transactions", json::array()}};
  for (const FaultBand& fault : chart.faults) {
    series["faults"].push_back({{"from_s", Rounded(fault.from_s)},
                                {"to_s", Number(fault.to_s)},
                                {"label", fault.label}});
  }
  for (const auto& [store, points] : chart.lag_s) series["lag_s"][store] = LineJson(points);
  for (const auto& [store, survival] : chart.staleness) {
    series["staleness"][store] = SurvivalJson(survival);
  }
  if (chart.undisturbed) {
    series["undisturbed"] = {{"p50_ms", Rounded(chart.undisturbed->p50_ms)},
                             {"p99_ms", Rounded(chart.undisturbed->p99_ms)}};
  }
  for (const TransactionLanes& transaction : chart.transactions) {
    series["transactions"].push_back(TransactionJson(transaction));
  }
  return series;
}

bool HasFaults(const json& summary) {
  for (const json& cell : summary.at("cells")) {
    for (const json& rep : cell.at("reps")) {
      if (!rep.value("faults", json::array()).empty()) return true;
    }
  }
  return false;
}

}  // namespace

json PageData(const ReportedRun& run) {
  json data = {{"schema", 1},
               {"id", run.summary.at("run").at("id")},
               {"disturbed", HasFaults(run.summary)},
               {"cells", json::array()},
               {"series", json::array()},
               {"variations", json::array()}};
  for (const json& cell : run.summary.at("cells")) data["cells"].push_back(CellJson(cell));
  for (const CellChart& chart : run.charts) data["series"].push_back(SeriesJson(chart));
  for (const VariedParameter& parameter : VariedParameters(run.summary)) {
    data["variations"].push_back({{"key", parameter.key}, {"unit", parameter.unit}});
  }
  return data;
}

}  // namespace indoubt
