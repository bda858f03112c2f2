#include "experiments/report/svg.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

namespace indoubt {

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

double Scale::operator()(double value) const {
  double share = 0;
  if (log) {
    share = (std::log(std::clamp(value, from, to)) - std::log(from)) /
            (std::log(to) - std::log(from));
  } else {
    share = (value - from) / (to - from);
  }
  return pixel_from + share * (pixel_to - pixel_from);
}

std::vector<double> NiceTicks(double from, double to, int count) {
  std::vector<double> ticks;
  if (!(to > from) || count < 1) return ticks;
  const double raw = (to - from) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = power * 10;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) {
      step = factor * power;
      break;
    }
  }
  for (double index = std::ceil(from / step - 1e-9); index * step <= to + step * 1e-9;
       ++index) {
    ticks.push_back(index * step + 0.0);  // not -0, which prints its sign
  }
  return ticks;
}

std::vector<double> LogTicks(double from, double to) {
  std::vector<double> ticks;
  for (int power = static_cast<int>(std::ceil(std::log10(from) - 1e-9));
       std::pow(10.0, power) <= to * (1 + 1e-9); ++power) {
    ticks.push_back(std::pow(10.0, power));
  }
  return ticks;
}

Svg::Svg(int width, int height, std::string_view title, std::string_view description)
    : out_(fmt::format("<svg role=\"img\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
                       "aria-label=\"{2}: {3}\"><title>{2}</title><desc>{3}</desc>\n",
                       width, height, EscapeHtml(title), EscapeHtml(description))) {}

void Svg::Line(double x1, double y1, double x2, double y2, std::string_view css) {
  fmt::format_to(
      std::back_inserter(out_),
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1,
      x2, y2, css);
}

void Svg::Rect(double x, double y, double width, double height, std::string_view css) {
  fmt::format_to(std::back_inserter(out_),
                 "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                 "class=\"{}\"/>\n",
                 x, y, std::max(0.0, width), std::max(0.0, height), css);
}

void Svg::Text(double x, double y, std::string_view text, std::string_view css,
               std::string_view anchor) {
  fmt::format_to(std::back_inserter(out_),
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\" text-anchor=\"{}\">{}</text>\n",
                 x, y, css, anchor, EscapeHtml(text));
}

void Svg::Path(const std::vector<Point>& points, const Scale& x, const Scale& y,
               std::string_view css) {
  std::string data;
  bool drawing = false;
  for (const Point& point : points) {
    if (!point.y) {
      drawing = false;
      continue;
    }
    fmt::format_to(std::back_inserter(data), "{}{:.1f} {:.1f}", drawing ? 'L' : 'M', x(point.x),
                   y(*point.y));
    drawing = true;
  }
  if (data.empty()) return;
  fmt::format_to(std::back_inserter(out_), "<path d=\"{}\" class=\"line {}\"/>\n", data, css);
}

std::string Svg::Finish() { return out_ + "</svg>\n"; }

}  // namespace indoubt
