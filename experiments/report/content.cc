#include "experiments/report/content.h"

#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/judgement.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr const char* kDash = "–";

std::string Milliseconds(const json& value) {
  return value.is_number() ? DurationText(value) : kDash;
}

std::string Text(const json& value) {
  if (value.is_null()) return kDash;
  return value.is_string() ? value.get<std::string>() : value.dump();
}

int64_t MostRepetitions(const json& summary) {
  size_t most = 0;
  for (const json& cell : summary.at("cells")) most = std::max(most, cell.at("reps").size());
  return static_cast<int64_t>(most);
}

}  // namespace

std::string NumberText(const json& value) {
  if (!value.is_number()) return kDash;
  const double number = value.get<double>();
  if (number != std::floor(number)) return fmt::format("{:.1f}", number);
  std::string digits = fmt::format("{:.0f}", std::abs(number));
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return number < 0 ? "-" + digits : digits;
}

Table PathTable(const json& summary) {
  struct Figure {
    const char* title;
    const char* figure;
    bool time;
  };
  static constexpr std::array<Figure, 21> kFigures{
      {{"attempted", "attempted", false},
       {"committed", "committed", false},
       {"rolled back", "rolled_back", false},
       {"failed", "failed", false},
       {"unknown", "unknown", false},
       {"unanswered", "censored", false},
       {"dropped", "dropped", false},
       {"committed per s", "throughput_per_s", false},
       {"response p50", "response_ms.p50", true},
       {"response p99", "response_ms.p99", true},
       {"response max", "response_ms.max", true},
       {"in doubt max", "in_doubt_ms.max", true},
       {"blocked max", "blocked_ms.max", true},
       {"blocked over 100 ms", "blocked_over_100ms", false},
       {"lag max", "lag_ms.max", true},
       {"caught up in", "catch_up_ms", true},
       {"inconsistent for a while", "inconsistent.transient", false},
       {"inconsistent for good", "inconsistent.permanent", false},
       {"lost", "lost_acknowledged", false},
       {"left over", "leftovers", false},
       {"fractured reads", "fractured_reads", false}}};
  const json& cells = summary.at("cells");
  Table table{{"figure"}, {}};
  for (const json& cell : cells) table.header.push_back(cell.at("name").get<std::string>());
  if (cells.empty()) return table;
  for (const auto& [title, figure, time] : kFigures) {
    std::vector<std::string> row{title};
    for (const json& cell : cells) {
      std::string text =
          time ? DurationText(cell, figure) : NumberText(CellFigure(cell, figure));
      if (time && text == "not measured") text = kDash;
      row.push_back(std::move(text));
    }
    table.rows.push_back(std::move(row));
  }
  // Of how many reads: the last row.
  for (size_t i = 0; i < cells.size(); ++i) {
    const json reads = CellFigure(cells.at(i), "reads");
    if (reads.is_number()) table.rows.back().at(i + 1) += " of " + NumberText(reads);
  }
  return table;
}

Table ExpectationTable(const json& summary) {
  Table table{{"expected", "observed", "verdict"}, {}};
  for (const json& expect : summary.at("expect")) {
    const json& observed = expect.at("observed");
    std::string shown =
        observed.is_number() ? fmt::format("{:.6g}", observed.get<double>()) : "no data";
    if (expect.at("reason").is_string()) {
      shown += " (" + expect.at("reason").get<std::string>() + ")";
    }
    std::string verdict = expect.at("verdict").get<std::string>();
    if (verdict == "no_data") verdict = "no data";
    table.rows.push_back({expect.at("check").get<std::string>(), shown, verdict});
  }
  return table;
}

Table EnvironmentTable(const json& summary) {
  Table table{{"what", "value"}, {}};
  const json& env = summary.at("env");
  if (!env.is_object()) return table;
  const auto add = [&](const char* title, const std::string& text) {
    table.rows.push_back({title, text});
  };
  for (const char* key :
       {"git_sha", "build", "cpu", "cores", "memory_gib", "kernel", "filesystem"}) {
    if (env.contains(key)) add(key, Text(env.at(key)));
  }
  for (const char* group : {"versions", "durability"}) {
    if (!env.contains(group) || !env.at(group).is_object()) continue;
    for (const auto& [store, text] : env.at(group).items()) {
      table.rows.push_back(
          {store + (std::string(group) == "versions" ? " version" : " durability"),
           Text(text)});
    }
  }
  if (env.contains("fdatasync_us") && env.at("fdatasync_us").is_object()) {
    const json& sync = env.at("fdatasync_us");
    add("fdatasync",
        fmt::format("p50 {} us, p90 {} us, {} probes", NumberText(sync.value("p50", json())),
                    NumberText(sync.value("p90", json())),
                    NumberText(sync.value("n", json()))));
  }
  return table;
}

Table FaultTable(const json& summary) {
  Table table{{"path", "repetition", "fault", "point", "asked for at", "seen at", "healed at"},
              {}};
  for (const json& cell : summary.at("cells")) {
    for (const json& rep : cell.at("reps")) {
      for (const json& fault : rep.at("faults")) {
        table.rows.push_back({cell.at("name").get<std::string>(), NumberText(rep.at("n")),
                              Text(fault.at("kind")) + " " + Text(fault.at("target")) +
                                  (fault.value("by_hand", false) ? ", by hand" : ""),
                              Text(fault.at("point")), Milliseconds(fault.at("requested_at")),
                              Milliseconds(fault.at("observed_at")),
                              Milliseconds(fault.at("healed_at"))});
      }
    }
  }
  return table;
}

Table RepetitionTable(const json& summary) {
  Table table{{"path", "figure", "median", "95 percent interval", "repetitions"}, {}};
  if (MostRepetitions(summary) < 2) return table;
  for (const json& cell : summary.at("cells")) {
    for (const char* figure :
         {"throughput_per_s", "response_ms.p50", "response_ms.p99", "response_ms.max",
          "in_doubt_ms.max", "blocked_ms.max", "lag_ms.max", "inconsistent.permanent"}) {
      if (!cell.at("stats").contains(figure)) continue;
      const json& stat = cell.at("stats").at(figure);
      const std::string interval =
          stat.at("ci_low").is_null()
              ? "too few repetitions"
              : NumberText(stat.at("ci_low")) + " to " + NumberText(stat.at("ci_high"));
      table.rows.push_back({cell.at("name").get<std::string>(), figure,
                            NumberText(stat.at("median")), interval, NumberText(stat.at("n"))});
    }
  }
  return table;
}

std::vector<std::string> Limits(const json& summary) {
  std::vector<std::string> limits;
  const int64_t repetitions = MostRepetitions(summary);
  if (repetitions < 6) {
    limits.push_back(
        fmt::format("How much of a difference is chance: with {} repetition(s) a path there is "
                    "no 95 percent "
                    "interval (it takes six).",
                    repetitions));
  }
  std::set<std::string> paths;
  bool faults = false;
  for (const json& cell : summary.at("cells")) {
    paths.insert(cell.at("path").get<std::string>());
    for (const json& rep : cell.at("reps")) faults = faults || !rep.at("faults").empty();
    for (const auto& [figure, what] :
         {std::pair("blocked_ms.n", "how long outside writers were blocked"),
          std::pair("reads", "what readers of two stores saw")}) {
      if (CellFigure(cell, figure).is_null()) {
        limits.push_back(fmt::format("For {}, {}: it was not measured.",
                                     cell.at("name").get<std::string>(), what));
      }
    }
  }
  for (const char* path : {"2pc", "cdc", "dual-write"}) {
    if (!paths.contains(path)) {
      limits.push_back(fmt::format("Anything about {}: it was not run.", path));
    }
  }
  limits.emplace_back(
      faults ? "Other faults: only those in the table of faults happened. Time in "
               "doubt, blocked time and lag follow the length of the outage, which "
               "was chosen."
             : "What a fault costs: none was injected.");
  limits.emplace_back(
      "Networks: clients, coordinator and stores shared one machine and its cores, so round "
      "trips cost next to nothing and the parts competed for the processor.");
  limits.emplace_back(
      "Other loads: one workload, one rate, one skew of keys. The observer polls: what appears "
      "and goes between two polls is not seen.");
  limits.emplace_back(
      "Power loss: processes were killed at most, which leaves the page cache alive.");
  return limits;
}

std::string ReproduceCommand(const json& summary) {
  const json& reproduce = summary.at("run").at("reproduce");
  return reproduce.is_string() ? reproduce.get<std::string>() : "not recorded";
}

}  // namespace indoubt
