// What the charts draw, thinned out from the raw records of one repetition a cell,
// so that a page stays small however long the run was.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/status.h"
#include "experiments/report/svg.h"

namespace indoubt {

/// Seconds from the start of the measured span.
struct FaultBand {
  double from_s = 0;
  std::optional<double> to_s;  // none: never healed
  std::string label;
};

struct CellChart {
  std::string name, path;
  int64_t rep = 0;        // which repetition is drawn
  double measured_s = 0;  // length of the measured span
  double end_s = 0;       // drained
  std::vector<FaultBand> faults;
  std::vector<Point> throughput;  // committed per second
  std::vector<Point> in_doubt, waiters;
  std::map<std::string, std::vector<Point>> lag_s;  // by store
  /// x is the tail 1 - q, y milliseconds; empty when not measured.
  std::vector<Point> response, service;
};

/// The first repetition of each cell that reached its end; a cell without one is left out.
Result<std::vector<CellChart>> ReadCharts(const std::string& run_folder,
                                          const nlohmann::json& summary);

}  // namespace indoubt
