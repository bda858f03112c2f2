// The forms a summary is written in. Pure: text from data.
#pragma once

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
};
/// A self-contained page: no script, no link to anything, charts inline, readable in
/// dark mode and on paper. Several runs follow each other behind an index.
std::string HtmlReport(const std::vector<ReportedRun>& runs);

}  // namespace indoubt
