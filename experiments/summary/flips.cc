#include "experiments/summary/flips.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "experiments/summary/between_cells.h"
#include "experiments/summary/parameter_number.h"

namespace indoubt {
namespace {

using nlohmann::json;

// Without an interval, a difference of less than this share is none.
constexpr double kNoticeableShare = 0.1;
constexpr double kFlipLevel = 0.98;  // both ends at kCellLevel

struct Parameter {
  std::string unit;  // "s" of durations
  std::set<double> values;
};

/// The cells that differ in the parameter alone, by its value.
struct Series {
  std::string path;
  json others;  // the other parameters
  std::map<double, const json*> cells;
  std::string Name() const {
    std::string name = path;
    for (const auto& [key, value] : others.items()) {
      name += fmt::format(", {} {}", key,
                          value.is_string() ? value.get<std::string>() : value.dump());
    }
    return name;
  }
};

/// How far the second path is above the first, at one value of the parameter.
struct Point {
  double x = 0;
  Shift shift;
  bool proven = false;  // it has an interval
  int sign = 0;         // 0: not told apart
};

bool IsAgain(const json& cell) { return cell.at("params").value("again", false); }

std::vector<Series> SeriesOver(const json& cells, const std::string& key) {
  std::vector<Series> all;
  for (const json& cell : cells) {
    const json& params = cell.at("params");
    const auto number = params.contains(key) ? NumberOfParameter(params.at(key)) : std::nullopt;
    if (!number || IsAgain(cell)) continue;
    json others = params;
    others.erase(key);
    const std::string path = cell.at("path").get<std::string>();
    auto series = std::find_if(all.begin(), all.end(), [&](const Series& known) {
      return known.path == path && known.others == others;
    });
    if (series == all.end()) {
      all.push_back(Series{path, std::move(others), {}});
      series = std::prev(all.end());
    }
    series->cells[number->number] = &cell;
  }
  return all;
}

/// Of other paths, and alike in every other parameter that both have.
bool AreRivals(const Series& one, const Series& other) {
  if (one.path == other.path) return false;
  for (const auto& [key, value] : one.others.items()) {
    if (other.others.contains(key) && other.others.at(key) != value) return false;
  }
  return true;
}

int SignOf(const CellDifference& between) {
  const Shift& shift = between.difference;
  if (shift.low) return *shift.low > 0 ? 1 : *shift.high < 0 ? -1 : 0;
  const double larger = std::max(std::abs(between.first), std::abs(between.second));
  if (std::abs(shift.estimate) <= kNoticeableShare * larger) return 0;
  return shift.estimate > 0 ? 1 : -1;
}

std::vector<Point> PointsOf(const Series& one, const Series& other, const char* figure) {
  std::vector<Point> points;
  for (const auto& [x, cell] : one.cells) {
    const auto rival = other.cells.find(x);
    if (rival == other.cells.end()) continue;
    const auto between = DifferenceBetween(*cell, *rival->second, figure);
    if (!between) continue;
    points.push_back(
        {x, between->difference, between->difference.low.has_value(), SignOf(*between)});
  }
  return points;
}

/// Where the straight lines through `height` of the points cross 0, from the left or from the
/// right. The heights of the first and the last have opposite signs.
template <typename Height>
double Crossing(const std::vector<Point>& points, Height height, bool from_the_left) {
  double found = points.front().x;
  for (size_t i = 1; i < points.size(); ++i) {
    const double left = height(points[i - 1]), right = height(points[i]);
    if ((left > 0) == (right > 0)) continue;
    const double share = left / (left - right);
    found = points[i - 1].x + share * (points[i].x - points[i - 1].x);
    if (from_the_left) break;
  }
  return found;
}

/// The flip between the first and the last of `points`, which differ in sign.
json Flip(const std::vector<Point>& points) {
  const bool falls = points.front().sign > 0;
  const auto estimate = [](const Point& point) { return point.shift.estimate; };
  json flip{{"between", {points.front().x, points.back().x}},
            {"at", Crossing(points, estimate, true)},
            {"ci_low", nullptr},
            {"ci_high", nullptr},
            {"level", nullptr}};
  const bool proven = std::all_of(points.begin(), points.end(),
                                  [](const Point& point) { return point.proven; });
  if (!proven) return flip;
  const auto low = [](const Point& point) { return *point.shift.low; };
  const auto high = [](const Point& point) { return *point.shift.high; };
  // Falling, the lower bound reaches 0 first and the upper one last.
  flip["ci_low"] = falls ? Crossing(points, low, true) : Crossing(points, high, true);
  flip["ci_high"] = falls ? Crossing(points, high, false) : Crossing(points, low, false);
  flip["level"] = kFlipLevel;
  return flip;
}

void AddFlips(const std::string& key, const Parameter& parameter, const Series& one,
              const Series& other, const BetweenFigure& figure, json& found) {
  std::vector<Point> since;  // from the last that was told apart
  for (const Point& point : PointsOf(one, other, figure.name)) {
    since.push_back(point);
    if (point.sign == 0) continue;
    if (since.front().sign == -point.sign) {
      json flip = Flip(since);
      // Above 0 the second path has more of the figure.
      const bool first_better = (since.front().sign < 0) == figure.higher_is_better;
      flip["below"] = first_better ? one.Name() : other.Name();
      flip["above"] = first_better ? other.Name() : one.Name();
      flip["key"] = key;
      flip["unit"] = parameter.unit;
      flip["figure"] = figure.name;
      flip["better"] = figure.higher_is_better ? "higher" : "lower";
      found.push_back(std::move(flip));
    }
    since = {point};
  }
}

std::map<std::string, Parameter> NumericParameters(const json& cells) {
  std::map<std::string, Parameter> numeric;
  std::set<std::string> others;
  for (const json& cell : cells) {
    if (IsAgain(cell)) continue;
    for (const auto& [key, value] : cell.at("params").items()) {
      const auto number = NumberOfParameter(value);
      if (!number) {
        others.insert(key);
        continue;
      }
      numeric[key].values.insert(number->number);
      if (number->duration) numeric[key].unit.assign(1, 's');
    }
  }
  std::erase_if(numeric, [&](const auto& entry) {
    return entry.second.values.size() < 2 || others.contains(entry.first);
  });
  return numeric;
}

std::string WithUnit(const json& value, const std::string& unit) {
  return fmt::format("{:.4g}{}", value.get<double>(), unit.empty() ? "" : " " + unit);
}

std::string Sentence(const json& flip) {
  const std::string unit = flip.at("unit").get<std::string>();
  const std::string figure = flip.at("figure").get<std::string>();
  const std::string how =
      flip.at("level").is_number()
          ? fmt::format("between {} and {} at 98 percent", WithUnit(flip.at("ci_low"), unit),
                        WithUnit(flip.at("ci_high"), unit))
          : fmt::format(
                "between {} and {} as far as so few repetitions show; an interval takes "
                "5",
                WithUnit(flip.at("between")[0], unit), WithUnit(flip.at("between")[1], unit));
  return fmt::format("{} goes above {} ({}): below, {} has the {} {}, above, {} has it",
                     flip.at("key").get<std::string>(), WithUnit(flip.at("at"), unit), how,
                     flip.at("below").get<std::string>(), flip.at("better").get<std::string>(),
                     figure, flip.at("above").get<std::string>());
}

std::string NotObserved(const json& over) {
  if (over.empty()) {
    return "not observed: no parameter of this run had two numbers on two paths";
  }
  std::vector<std::string> ranges;
  for (const json& each : over) {
    const std::string unit = each.at("unit").get<std::string>();
    ranges.push_back(fmt::format("{} from {} to {}", each.at("key").get<std::string>(),
                                 WithUnit(each.at("from"), unit),
                                 WithUnit(each.at("to"), unit)));
  }
  std::vector<std::string> figures;
  for (const BetweenFigure& figure : PriceFigures()) figures.emplace_back(figure.name);
  return fmt::format("not observed: with {} no path overtook another in {}",
                     fmt::join(ranges, ", "), fmt::join(figures, ", "));
}

}  // namespace

json FindFlips(const json& cells) {
  json over = json::array(), found = json::array();
  for (const auto& [key, parameter] : NumericParameters(cells)) {
    const std::vector<Series> all = SeriesOver(cells, key);
    bool rivals = false;
    for (auto one = all.begin(); one != all.end(); ++one) {
      for (auto other = std::next(one); other != all.end(); ++other) {
        if (!AreRivals(*one, *other)) continue;
        rivals = true;
        for (const BetweenFigure& figure : PriceFigures()) {
          AddFlips(key, parameter, *one, *other, figure, found);
        }
      }
    }
    if (!rivals) continue;
    over.push_back({{"key", key},
                    {"unit", parameter.unit},
                    {"from", *parameter.values.begin()},
                    {"to", *parameter.values.rbegin()}});
  }
  return {{"over", std::move(over)}, {"found", std::move(found)}};
}

std::vector<std::string> FlipSentences(const json& summary) {
  const json& flips = summary.at("flips");
  std::vector<std::string> sentences;
  for (const json& flip : flips.at("found")) sentences.push_back(Sentence(flip));
  if (sentences.empty()) sentences.push_back(NotObserved(flips.at("over")));
  return sentences;
}

}  // namespace indoubt
