// A small SVG writer for the report's charts: linear and logarithmic scales, axes,
// lines and labels. Colours come from the page's style sheet through classes, so
// that the charts follow dark mode and print.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace indoubt {

/// `text` with the five characters of HTML and XML escaped.
std::string EscapeHtml(std::string_view text);

/// Maps values to pixels; `log` needs positive bounds and clamps to them.
struct Scale {
  double from = 0, to = 1;  // values
  double pixel_from = 0, pixel_to = 1;
  bool log = false;
  double operator()(double value) const;
};

/// Round values within [from, to], about `count` of them.
std::vector<double> NiceTicks(double from, double to, int count);
/// Powers of ten within [from, to].
std::vector<double> LogTicks(double from, double to);

struct Point {
  double x = 0;
  std::optional<double> y;  // none breaks the line
};

/// One <svg>, built from top to bottom.
class Svg {
 public:
  /// `title` and `description` are what a screen reader reads instead of the picture.
  Svg(int width, int height, std::string_view title, std::string_view description);

  void Line(double x1, double y1, double x2, double y2, std::string_view css);
  void Rect(double x, double y, double width, double height, std::string_view css);
  /// `anchor` is "start", "middle" or "end".
  void Text(double x, double y, std::string_view text, std::string_view css,
            std::string_view anchor = "start");
  /// The points through both scales, joined; a gap where there is no value.
  void Path(const std::vector<Point>& points, const Scale& x, const Scale& y,
            std::string_view css);

  /// The element; the object is done with.
  std::string Finish();

 private:
  std::string out_;
};

}  // namespace indoubt
