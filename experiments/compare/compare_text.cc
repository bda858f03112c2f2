#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/compare/compare.h"

namespace indoubt {
namespace {

using nlohmann::json;

std::string NumberOf(const json& value) {
  return value.is_null() ? "not measured" : fmt::format("{:.4g}", value.get<double>());
}

const json& Middle(const json& side) {
  return side.contains("worst") ? side.at("worst") : side.at("median");
}

std::string Percent(const json& ratio) {
  return fmt::format("{:+.1f}%", 100 * (ratio.get<double>() - 1));
}

std::string Signed(const json& value) { return fmt::format("{:+.4g}", value.get<double>()); }

/// "+21.3% (+15.0% to +27.9%)"; absolute where a ratio has no meaning.
std::string Change(const json& line) {
  const bool relative = line.at("ratio").is_object();
  const json& shift = line.at(relative ? "ratio" : "difference");
  if (shift.is_null()) return "-";
  const auto text = [&](const char* key) {
    return relative ? Percent(shift.at(key)) : Signed(shift.at(key));
  };
  if (shift.at("ci_low").is_null()) return text("estimate");
  return fmt::format("{} ({} to {})", text("estimate"), text("ci_low"), text("ci_high"));
}

std::string Level(const json& line) {
  return line.at("level").is_null()
             ? "-"
             : fmt::format("{:.0f}%", 100 * line.at("level").get<double>());
}

using Row = std::array<std::string, 7>;

std::string Table(const std::vector<Row>& rows) {
  std::array<size_t, 7> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) line += fmt::format("{:{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string Head(const char* which, const json& run) {
  return fmt::format(
      "{:10} {}, commit {}, {} repetitions\n", which, run.at("id").get<std::string>(),
      run.at("git_sha").is_null() ? "unknown"
                                  : run.at("git_sha").get<std::string>().substr(0, 12),
      run.at("repetitions").get<int>());
}

std::vector<std::string> Named(const json& comparison, const char* verdict) {
  std::vector<std::string> names;
  for (const json& line : comparison.at("lines")) {
    if (line.at("verdict") != verdict) continue;
    names.push_back(fmt::format("{} {}", line.at("cell").get<std::string>(),
                                line.at("figure").get<std::string>()));
  }
  return names;
}

}  // namespace

std::string ComparisonText(const json& comparison) {
  std::string out =
      Head("base", comparison.at("base")) + Head("candidate", comparison.at("candidate"));
  for (const json& warning : comparison.at("warnings")) {
    out += "warning: " + warning.get<std::string>() + "\n";
  }
  std::vector<Row> rows{
      {"cell", "figure", "base", "candidate", "change (interval)", "level", "verdict"}};
  size_t unmeasured = 0;
  for (const json& line : comparison.at("lines")) {
    if (Middle(line.at("base")).is_null() && Middle(line.at("candidate")).is_null()) {
      ++unmeasured;
      continue;
    }
    std::string verdict = line.at("verdict").get<std::string>();
    if (verdict == "cannot tell") verdict += ": " + line.at("reason").get<std::string>();
    rows.push_back({line.at("cell").get<std::string>(), line.at("figure").get<std::string>(),
                    NumberOf(Middle(line.at("base"))), NumberOf(Middle(line.at("candidate"))),
                    Change(line), Level(line), verdict});
  }
  out += "\n" + Table(rows) + "\n";
  if (unmeasured > 0) {
    out += fmt::format("{} figures that neither run measured are left out.\n", unmeasured);
  }
  for (const json& violation : comparison.at("violations")) {
    out += "CORRECTNESS VIOLATED in the candidate: " + violation.get<std::string>() + "\n";
  }
  const auto worse = Named(comparison, "worse"), better = Named(comparison, "better");
  const auto list = [](const std::vector<std::string>& names) {
    return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
  };
  return out + fmt::format("worse: {}; better: {}", list(worse), list(better));
}

}  // namespace indoubt
