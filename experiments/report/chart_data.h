// What the charts draw, thinned out from the raw records, so that a page stays small
// however long the run was.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/report/recovery_stages.h"
#include "experiments/report/survival.h"
#include "experiments/report/transaction_lanes.h"

namespace indoubt {

/// Seconds from the start of the measured span.
struct FaultBand {
  double from_s = 0;
  std::optional<double> to_s;  // none: never healed
  std::string label;
};

/// Response times of operations that were due and answered before the first fault acted.
struct Undisturbed {
  size_t n = 0;
  double p50_ms = 0, p99_ms = 0;
};

struct CellChart {
  std::string name, path;

  // Of all repetitions that reached their end and count, together.
  /// x is the tail 1 - q, y milliseconds; empty when not measured.
  std::vector<Point> response, service;
  std::optional<SurvivalCurve> blocking;           // of outside writers
  std::map<std::string, SurvivalCurve> staleness;  // of orders, by store
  std::optional<Undisturbed> undisturbed;          // none without a fault

  // Of one repetition, the first that reached its end; one that counts, if there is one.
  int64_t rep = 0;
  double measured_s = 0;  // length of the measured span
  double end_s = 0;       // drained
  std::vector<FaultBand> faults;
  std::vector<Point> throughput;  // committed per second
  std::vector<Point> in_doubt, waiters;
  std::map<std::string, std::vector<Point>> lag_s;  // by store
  std::vector<RecoveryStage> recovery;
  std::vector<TransactionLanes> transactions;
};

/// How finely the charts are drawn: a page has room for so much.
struct ChartDetail {
  size_t points = 400;  // of a line over time
  int per_decade = 40;  // of a survival curve
};
/// For `cells` of them on one page of less than a megabyte.
ChartDetail DetailFor(size_t cells);

/// A cell of which no repetition reached its end is left out.
Result<std::vector<CellChart>> ReadCharts(const std::string& run_folder,
                                          const nlohmann::json& summary, ChartDetail detail);

}  // namespace indoubt
