#include "experiments/summary/control.h"

#include <algorithm>

#include <fmt/format.h>

#include "experiments/summary/between_cells.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr const char* kAgain = "again";

bool IsAgain(const json& cell) { return cell.at("params").value(kAgain, false); }

/// The cell that `again` repeats: the same name without the word. Null when it was not run.
const json* FirstOf(const json& cells, const json& again) {
  const std::string path = again.at("path").get<std::string>();
  const std::string name = again.at("name").get<std::string>();
  const std::string prefix = path + "-" + kAgain;
  if (!name.starts_with(prefix)) return nullptr;
  const std::string first = path + name.substr(prefix.size());
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const json& cell) {
    return cell.at("name") == first && !IsAgain(cell);
  });
  return found == cells.end() ? nullptr : &*found;
}

/// What [matrix.again] made of it: the parameters that the first has not, or otherwise.
json Planted(const json& first, const json& again) {
  json planted = json::object();
  for (const auto& [key, value] : again.at("params").items()) {
    if (key == kAgain) continue;
    if (first.at("params").value(key, json()) != value) planted[key] = value;
  }
  return planted;
}

json Bound(const std::optional<double>& value) { return value ? json(*value) : json(); }

json Described(const std::optional<Shift>& shift) {
  if (!shift) return nullptr;
  return {{"estimate", shift->estimate},
          {"ci_low", Bound(shift->low)},
          {"ci_high", Bound(shift->high)}};
}

json Compare(const json& first, const json& again, const BetweenFigure& figure) {
  const auto between = DifferenceBetween(first, again, figure.name);
  json entry{{"cell", first.at("name")},
             {"again", again.at("name")},
             {"planted", Planted(first, again)},
             {"figure", figure.name},
             {"level", nullptr},
             {"difference", nullptr},
             {"ratio", nullptr},
             {"verdict", "cannot tell"}};
  if (!between) return entry;
  entry["difference"] = Described(between->difference);
  entry["ratio"] = Described(between->ratio);
  if (!between->difference.low) return entry;
  entry["level"] = kCellLevel;
  const bool same = *between->difference.low <= 0 && *between->difference.high >= 0;
  entry["verdict"] = same ? "no difference" : "difference";
  return entry;
}

std::string Percent(const json& ratio, const char* which) {
  return fmt::format("{:+.1f}", 100 * (ratio.at(which).get<double>() - 1));
}

std::string Sentence(const json& entry) {
  const std::string figure = entry.at("figure").get<std::string>();
  const std::string verdict = entry.at("verdict").get<std::string>();
  if (verdict == "cannot tell") {
    return fmt::format("{}: cannot tell, an interval takes 5 repetitions of each", figure);
  }
  const json& ratio = entry.at("ratio");
  const json& difference = entry.at("difference");
  const std::string range =
      ratio.is_object()
          ? fmt::format("{} percent, between {} and {}", Percent(ratio, "estimate"),
                        Percent(ratio, "ci_low"), Percent(ratio, "ci_high"))
          : fmt::format(
                "{:+.4g}, between {:+.4g} and {:+.4g}", difference.at("estimate").get<double>(),
                difference.at("ci_low").get<double>(), difference.at("ci_high").get<double>());
  return fmt::format("{}: {} ({} at 99 percent)", figure, verdict, range);
}

}  // namespace

json CompareControls(const json& cells) {
  json control = json::array();
  for (const json& cell : cells) {
    if (!IsAgain(cell)) continue;
    const json* first = FirstOf(cells, cell);
    if (first == nullptr) continue;
    for (const BetweenFigure& figure : SpeedFigures()) {
      control.push_back(Compare(*first, cell, figure));
    }
  }
  return control;
}

std::vector<std::string> ControlSentences(const json& summary) {
  std::vector<std::string> sentences;
  std::string pair;
  for (const json& entry : summary.value("control", json::array())) {
    const json& planted = entry.at("planted");
    std::string head = fmt::format("{} against {}, {}: ", entry.at("again").get<std::string>(),
                                   entry.at("cell").get<std::string>(),
                                   planted.empty() ? std::string("the same twice")
                                                   : "with " + planted.dump() + " planted");
    if (head != pair) sentences.push_back(head);
    sentences.back() += (head == pair ? "; " : "") + Sentence(entry);
    pair = std::move(head);
  }
  return sentences;
}

std::vector<std::string> ControlWarnings(const json& control) {
  std::vector<std::string> warnings;
  for (const json& entry : control) {
    if (entry.at("verdict") != "difference" || !entry.at("planted").empty()) continue;
    warnings.push_back(
        fmt::format("the control differs: {} and {} are the same, and their {} is not; chance "
                    "does that in one of a hundred figures, or something disturbs this machine",
                    entry.at("cell").get<std::string>(), entry.at("again").get<std::string>(),
                    entry.at("figure").get<std::string>()));
  }
  return warnings;
}

}  // namespace indoubt
