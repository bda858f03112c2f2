// The forms a summary is written in. Pure: text from data.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/report/chart_data.h"

namespace indoubt {

/// One line a figure: cell,path,repetition,figure,value. A figure that was not
/// measured has an empty value.
std::string SummaryCsv(const nlohmann::json& summary);

std::string MarkdownReport(const nlohmann::json& summary);

struct ReportedRun {
  nlohmann::json summary;
  std::vector<CellChart> charts;
  size_t left_out = 0;  // cells that the page has no room to draw
};
/// A self-contained page of less than a megabyte: no link to anything, data and script
/// inline, its text and tables readable without script, in dark mode and on paper. Several
/// runs follow each other behind an index.
std::string HtmlReport(const std::vector<ReportedRun>& runs);

}  // namespace indoubt
