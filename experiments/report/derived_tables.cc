#include "experiments/report/derived_tables.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

// More rows than this are thinned out.
constexpr size_t kMostMoments = 24;

struct ReadKind {
  const char* title;
  const char* reads;
  const char* wrong;
  const char* wait;  // null: it does not wait
};
constexpr std::array<ReadKind, 4> kReadKinds{{
    {"own write, at once: stale", "own_reads.without_token.reads",
     "own_reads.without_token.stale", nullptr},
    {"own write, with its token: stale", "own_reads.with_token.reads",
     "own_reads.with_token.stale", "token_wait_ms"},
    {"both stores, at once: fractured", "pair_reads.without_cut.reads",
     "pair_reads.without_cut.fractured", nullptr},
    {"both stores, at one cut: fractured", "pair_reads.with_cut.reads",
     "pair_reads.with_cut.fractured", "cut_wait_ms"},
}};

std::string Wait(const json& cell, const char* figure, const char* part) {
  return figure == nullptr ? "none" : DurationText(cell, fmt::format("{}.{}", figure, part));
}

/// Of the first repetition that has one.
json SeriesOf(const json& cell) {
  for (const json& rep : cell.at("reps")) {
    const json series = rep.value("retained_wal_series", json());
    if (series.is_array() && !series.empty()) return series;
  }
  return json();
}

std::string MomentText(const json& series, double at_ms) {
  for (const json& look : series) {
    if (look.at("at_ms").get<double>() < at_ms) continue;
    return fmt::format("{:.1f} MiB{}", look.at("bytes").get<double>() / (1 << 20),
                       look.at("prepared").get<int64_t>() > 0 ? ", in doubt" : "");
  }
  return "–";
}

}  // namespace

Table TokenReadTable(const json& summary) {
  Table table{{"path", "read", "reads", "wrong", "waited p50", "waited p99"}, {}};
  for (const json& cell : summary.at("cells")) {
    for (const ReadKind& kind : kReadKinds) {
      const json reads = CellFigure(cell, kind.reads);
      if (!reads.is_number()) continue;
      table.rows.push_back({cell.at("name").get<std::string>(), kind.title, NumberText(reads),
                            NumberText(CellFigure(cell, kind.wrong)),
                            Wait(cell, kind.wait, "p50"), Wait(cell, kind.wait, "p99")});
    }
  }
  return table;
}

Table RetainedWalTable(const json& summary) {
  Table table{{"seconds"}, {}};
  std::vector<json> columns;
  size_t moments = 0;
  for (const json& cell : summary.at("cells")) {
    json series = SeriesOf(cell);
    if (series.is_null()) continue;
    table.header.push_back(cell.at("name").get<std::string>());
    const double last = series.back().at("at_ms").get<double>();
    moments = std::max(moments, static_cast<size_t>(last / 1000) + 1);
    columns.push_back(std::move(series));
  }
  const size_t step = 1 + moments / kMostMoments;
  for (size_t second = 0; second < moments; second += step) {
    std::vector<std::string> row{std::to_string(second)};
    for (const json& series : columns) {
      row.push_back(MomentText(series, 1000.0 * static_cast<double>(second)));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace indoubt
