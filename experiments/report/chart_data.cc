#include "experiments/report/chart_data.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "experiments/summary/records.h"
#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr size_t kMostPoints = 400;  // a line; more than the pixels can show

struct Span {
  int64_t measure_from = 0, measure_to = 0, drained = 0;
  double Seconds(int64_t t_ns) const { return static_cast<double>(t_ns - measure_from) / 1e9; }
};

/// At most kMostPoints, each the largest of its stretch: peaks are what matters.
std::vector<Point> Thin(const std::vector<Point>& points) {
  const size_t stride = (points.size() + kMostPoints - 1) / kMostPoints;
  if (stride <= 1) return points;
  std::vector<Point> thin;
  for (size_t begin = 0; begin < points.size(); begin += stride) {
    Point best = points[begin];
    for (size_t i = begin; i < std::min(begin + stride, points.size()); ++i) {
      if (points[i].y && (!best.y || *points[i].y > *best.y)) best = points[i];
    }
    thin.push_back(best);
  }
  return thin;
}

std::vector<Point> Throughput(const RepRecords& records, const Span& span) {
  if (!records.operations || span.drained <= span.measure_from) return {};
  const double end_s = span.Seconds(span.drained);
  const double width = std::max(0.5, end_s / static_cast<double>(kMostPoints));
  std::vector<int64_t> bins(static_cast<size_t>(end_s / width) + 1, 0);
  for (const OperationRecord& operation : *records.operations) {
    if (operation.outcome != OperationOutcome::kCommitted) continue;
    const double at = span.Seconds(*operation.ended_ns);
    if (at >= 0 && at <= end_s) ++bins[static_cast<size_t>(at / width)];
  }
  std::vector<Point> points;
  for (size_t i = 0; i < bins.size(); ++i) {
    const double start = static_cast<double>(i) * width;
    const double length = std::min(width, end_s - start);
    if (length < width / 2) break;  // a sliver at the end says nothing
    points.push_back({start + length / 2, static_cast<double>(bins[i]) / length});
  }
  return points;
}

/// Response or service times by how rare they are: 1, 0.1, 0.01, ...
std::vector<Point> Tail(const RepRecords& records, const Span& span, bool from_start) {
  std::vector<double> values;
  if (!records.operations) return {};
  for (const OperationRecord& operation : *records.operations) {
    if (!operation.measured || operation.outcome == OperationOutcome::kFailed ||
        operation.outcome == OperationOutcome::kDropped ||
        (from_start && !operation.started_ns)) {
      continue;
    }
    const int64_t begin = from_start ? *operation.started_ns : operation.intended_ns;
    values.push_back(static_cast<double>(operation.ended_ns.value_or(span.drained) - begin) /
                     1e6);
  }
  std::sort(values.begin(), values.end());
  std::vector<Point> points;
  for (int i = 0; i <= 60 && !values.empty(); ++i) {
    const double tail = std::pow(10.0, -i / 20.0);             // 1 down to 0.001
    if (tail * static_cast<double>(values.size()) < 1) break;  // fewer than one operation
    const int rank = static_cast<int>(std::lround((1 - tail) * 10000));
    points.push_back({tail, NearestRank(values, rank)});
  }
  return points;
}

void AddTimeline(const std::vector<TimelineRecord>& timeline, const Span& span, bool two_phase,
                 CellChart& chart) {
  for (const TimelineRecord& record : timeline) {
    const double at = span.Seconds(record.t_ns);
    if (at < 0 || at > chart.end_s) continue;
    if (two_phase) chart.in_doubt.push_back({at, static_cast<double>(record.in_doubt)});
    chart.waiters.push_back({at, static_cast<double>(record.waiters)});
    for (const auto& [store, lag] : record.lag_ms) {
      chart.lag_s[store].push_back({at, lag ? std::optional(*lag / 1000) : std::nullopt});
    }
  }
  chart.in_doubt = Thin(chart.in_doubt);
  chart.waiters = Thin(chart.waiters);
  for (auto& [store, points] : chart.lag_s) points = Thin(points);
}

/// For a label beside its band.
std::string FaultWord(const std::string& kind) {
  if (kind == "kill" || kind == "store-kill") return "down";
  if (kind == "pause") return "stopped";
  if (kind == "store-partition") return "cut off";
  if (kind == "store-slow") return "slow";
  if (kind == "store-lock") return "locked";
  return kind;
}

void AddFaults(const json& rep, CellChart& chart) {
  for (const json& fault : rep.at("faults")) {
    const json& at =
        fault.at("observed_at").is_null() ? fault.at("requested_at") : fault.at("observed_at");
    if (at.is_null()) continue;
    FaultBand band;
    band.from_s = at.get<double>() / 1000;
    if (!fault.at("healed_at").is_null())
      band.to_s = fault.at("healed_at").get<double>() / 1000;
    band.label = fmt::format("{} {}", fault.at("target").get<std::string>(),
                             FaultWord(fault.at("kind").get<std::string>()));
    chart.faults.push_back(band);
  }
}

CellChart MakeChart(const json& cell, const json& rep, const RepRecords& records) {
  const Span span{records.rep.at("measure_from_ns").get<int64_t>(),
                  records.rep.at("measure_to_ns").get<int64_t>(),
                  records.rep.at("drained_ns").get<int64_t>()};
  CellChart chart;
  chart.name = cell.at("name").get<std::string>();
  chart.path = cell.at("path").get<std::string>();
  chart.rep = rep.at("n").get<int64_t>();
  chart.measured_s = span.Seconds(span.measure_to);
  chart.end_s = std::max(span.Seconds(span.drained), chart.measured_s);
  AddFaults(rep, chart);
  chart.throughput = Throughput(records, span);
  if (records.timeline) {
    AddTimeline(*records.timeline, span, !rep.at("in_doubt_ms").is_null(), chart);
  }
  chart.response = Tail(records, span, /*from_start=*/false);
  chart.service = Tail(records, span, /*from_start=*/true);
  return chart;
}

}  // namespace

Result<std::vector<CellChart>> ReadCharts(const std::string& run_folder, const json& summary) {
  std::vector<CellChart> charts;
  try {
    for (const json& cell : summary.at("cells")) {
      for (const json& rep : cell.at("reps")) {
        INDOUBT_ASSIGN_OR_RETURN(const RepRecords records,
                                 ReadRep(run_folder + "/" + rep.at("dir").get<std::string>()));
        if (records.rep.is_null()) continue;
        charts.push_back(MakeChart(cell, rep, records));
        break;
      }
    }
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  run_folder + ": a repetition cannot be drawn: " + error.what());
  }
  return charts;
}

}  // namespace indoubt
