#include "experiments/report/chart_data.h"

#include <algorithm>
#include <cmath>

#include "experiments/report/fault_label.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/records.h"
#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

struct Span {
  int64_t measure_from = 0, measure_to = 0, drained = 0;
  double Seconds(int64_t t_ns) const { return static_cast<double>(t_ns - measure_from) / 1e9; }
};

/// At most `most`, each the largest of its stretch: peaks are what matters.
std::vector<Point> Thin(const std::vector<Point>& points, size_t most) {
  const size_t stride = (points.size() + most - 1) / most;
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

std::vector<Point> Throughput(const RepRecords& records, const Span& span, size_t most) {
  if (!records.operations || span.drained <= span.measure_from) return {};
  const double end_s = span.Seconds(span.drained);
  const double width = std::max(0.5, end_s / static_cast<double>(most));
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

/// Whether it has a time of its own: what was refused or never started has none.
bool HasTime(const OperationRecord& operation) {
  return operation.measured && operation.outcome != OperationOutcome::kFailed &&
         operation.outcome != OperationOutcome::kDropped;
}

double Waited(const OperationRecord& operation, int64_t from_ns, const Span& span) {
  return static_cast<double>(operation.ended_ns.value_or(span.drained) - from_ns) / 1e6;
}

/// By how rare they are: 1, 0.1, 0.01, ...
std::vector<Point> Tail(std::vector<double> values) {
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

/// Gathers what is told of all repetitions of a cell together.
class Pool {
 public:
  void Add(const RepRecords& records, const Span& span) {
    if (records.operations) AddOperations(records, span);
    if (records.blocked) AddBlocked(*records.blocked, span);
    if (records.lag) AddLag(*records.lag, span);
  }
  void Finish(CellChart& chart, const ChartDetail& detail) {
    chart.response = Tail(std::move(response_));
    chart.service = Tail(std::move(service_));
    if (watched_writers_) chart.blocking = Survival(std::move(blocked_), detail.per_decade);
    for (auto& [store, waits] : lag_) {
      chart.staleness[store] = Survival(std::move(waits), detail.per_decade);
    }
    std::sort(undisturbed_.begin(), undisturbed_.end());
    if (undisturbed_.empty()) return;
    chart.undisturbed = Undisturbed{undisturbed_.size(), *NearestRank(undisturbed_, 5000),
                                    *NearestRank(undisturbed_, 9900)};
  }

 private:
  void AddOperations(const RepRecords& records, const Span& span) {
    std::optional<int64_t> acted;
    for (const json& fault : records.rep.at("faults")) {
      if (fault.at("observed_at_ns").is_null()) continue;
      const auto at = fault.at("observed_at_ns").get<int64_t>();
      acted = std::min(acted.value_or(at), at);
    }
    for (const OperationRecord& operation : *records.operations) {
      if (!HasTime(operation)) continue;
      const double response = Waited(operation, operation.intended_ns, span);
      response_.push_back(response);
      if (operation.started_ns) {
        service_.push_back(Waited(operation, *operation.started_ns, span));
      }
      if (acted && operation.ended_ns && *operation.ended_ns < *acted) {
        undisturbed_.push_back(response);
      }
    }
  }
  void AddBlocked(const std::vector<BlockedRecord>& records, const Span& span) {
    watched_writers_ = true;
    for (const BlockedRecord& record : records) {
      blocked_.push_back(
          {static_cast<double>(record.ended_ns.value_or(span.drained) - record.started_ns) /
               1e6,
           !record.ended_ns});
    }
  }
  void AddLag(const std::vector<LagRecord>& records, const Span& span) {
    for (const LagRecord& record : records) {
      const int64_t seen = record.visible_ns.value_or(span.drained);
      lag_[record.store].push_back(
          {std::max(0.0, static_cast<double>(seen - record.committed_ns) / 1e6),
           !record.visible_ns});
    }
  }

  std::vector<double> response_, service_, undisturbed_;
  std::vector<Wait> blocked_;
  bool watched_writers_ = false;
  std::map<std::string, std::vector<Wait>> lag_;
};

std::optional<double> Value(const std::optional<int64_t>& count) {
  return count ? std::optional(static_cast<double>(*count)) : std::nullopt;
}

void AddTimeline(const std::vector<TimelineRecord>& timeline, const Span& span, bool two_phase,
                 size_t most, CellChart& chart) {
  for (const TimelineRecord& record : timeline) {
    const double at = span.Seconds(record.t_ns);
    if (at < 0 || at > chart.end_s) continue;
    if (two_phase) chart.in_doubt.push_back({at, Value(record.in_doubt)});
    chart.waiters.push_back({at, Value(record.waiters)});
    for (const auto& [store, lag] : record.lag_ms) {
      chart.lag_s[store].push_back({at, lag ? std::optional(*lag / 1000) : std::nullopt});
    }
  }
  chart.in_doubt = Thin(chart.in_doubt, most);
  chart.waiters = Thin(chart.waiters, most);
  for (auto& [store, points] : chart.lag_s) points = Thin(points, most);
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
    band.label = FaultLabel(fault);
    chart.faults.push_back(band);
  }
}

Span SpanOf(const json& rep) {
  return {rep.at("measure_from_ns").get<int64_t>(), rep.at("measure_to_ns").get<int64_t>(),
          rep.at("drained_ns").get<int64_t>()};
}

/// What is drawn of one repetition.
void AddRepetition(const json& rep, const RepRecords& records, const Span& span,
                   const ChartDetail& detail, CellChart& chart) {
  const bool two_phase = HasTwoPhaseCommit(chart.path);
  chart.rep = rep.at("n").get<int64_t>();
  chart.measured_s = span.Seconds(span.measure_to);
  chart.end_s = std::max(span.Seconds(span.drained), chart.measured_s);
  AddFaults(rep, chart);
  chart.throughput = Throughput(records, span, detail.points);
  if (records.timeline) {
    AddTimeline(*records.timeline, span, two_phase, detail.points, chart);
  }
  chart.recovery = RecoveryStages(records, two_phase);
  chart.transactions = ChooseTransactions(chart.name, records);
}

/// Draws of the repetitions that count, and pools them; where all were disturbed by hand,
/// which counts for nothing, what happened in the first of these is drawn nevertheless.
Status AddRepetitions(const std::string& run_folder, const json& cell, bool counting,
                      const ChartDetail& detail, Pool& pool, CellChart& chart) {
  for (const json& rep : cell.at("reps")) {
    const json& status = rep.at("status");
    if (counting ? !CountsOverRepetitions(status) : status != "disturbed") continue;
    INDOUBT_ASSIGN_OR_RETURN(const RepRecords records,
                             ReadRep(run_folder + "/" + rep.at("dir").get<std::string>()));
    if (records.rep.is_null()) continue;
    const Span span = SpanOf(records.rep);
    if (chart.rep == 0) AddRepetition(rep, records, span, detail, chart);
    if (counting) pool.Add(records, span);
  }
  return Status::Ok();
}

/// None when no repetition reached its end.
Result<std::optional<CellChart>> ReadCell(const std::string& run_folder, const json& cell,
                                          const ChartDetail& detail) {
  CellChart chart;
  chart.name = cell.at("name").get<std::string>();
  chart.path = cell.at("path").get<std::string>();
  Pool pool;
  INDOUBT_RETURN_IF_ERROR(AddRepetitions(run_folder, cell, true, detail, pool, chart));
  if (chart.rep == 0) {
    INDOUBT_RETURN_IF_ERROR(AddRepetitions(run_folder, cell, false, detail, pool, chart));
  }
  if (chart.rep == 0) return std::optional<CellChart>();
  pool.Finish(chart, detail);
  return std::optional(std::move(chart));
}

}  // namespace

ChartDetail DetailFor(size_t cells) {
  const size_t all = std::max<size_t>(cells, 1);
  return {std::clamp<size_t>(1600 / all, 40, 400), all <= 8 ? 40 : 20};
}

Result<std::vector<CellChart>> ReadCharts(const std::string& run_folder, const json& summary,
                                          ChartDetail detail) {
  std::vector<CellChart> charts;
  try {
    for (const json& cell : summary.at("cells")) {
      INDOUBT_ASSIGN_OR_RETURN(auto chart, ReadCell(run_folder, cell, detail));
      if (chart) charts.push_back(std::move(*chart));
    }
  } catch (const json::exception& error) {
    return Status(StatusCode::kCorrupt,
                  run_folder + ": a repetition cannot be drawn: " + error.what());
  }
  return charts;
}

}  // namespace indoubt
