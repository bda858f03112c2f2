// The share that still waits after a time.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace indoubt {

struct Point {
  double x = 0;
  std::optional<double> y;  // none: a gap
};

struct Wait {
  double ms = 0;
  bool censored = false;  // it still waited when it was last looked at
};

struct SurvivalCurve {
  std::vector<Point> curve;  // ms and share, a step down at each; begins at (0, 1)
  size_t n = 0, censored = 0;
};

/// The product-limit estimate (Kaplan, Meier, Nonparametric Estimation from Incomplete
/// Observations, 1958): who was still waiting when last looked at counts until then and is
/// not dropped. At most `per_decade` steps for each power of ten, of which the lowest share
/// is kept; the last point is the longest wait.
SurvivalCurve Survival(std::vector<Wait> waits, int per_decade);

}  // namespace indoubt
