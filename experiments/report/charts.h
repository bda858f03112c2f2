// The report's pictures as inline SVG.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/report/chart_data.h"

namespace indoubt {

/// Throughput, in doubt and lag over one time axis with the faults as bands. All
/// cells share the scales of `all`, so that the pictures can be compared.
std::string TimelineSvg(const CellChart& chart, const std::vector<CellChart>& all);

/// Response (solid) and service (dashed) times by percentile, a colour a cell.
std::string PercentileSvg(const std::vector<CellChart>& charts);

/// In doubt, blocked and lag of every cell side by side: p50 to max, a mark at p99.
std::string WaitingSvg(const nlohmann::json& summary);

}  // namespace indoubt
