#include "experiments/report/survival.h"

#include <algorithm>
#include <cmath>

namespace indoubt {
namespace {

constexpr double kShortestMs = 0.1;  // below, all steps are one

int Stretch(double ms, int per_decade) {
  return static_cast<int>(std::floor(std::log10(std::max(ms, kShortestMs)) * per_decade));
}

/// The last point of each stretch of the logarithmic axis.
std::vector<Point> Thin(const std::vector<Point>& steps, int per_decade) {
  std::vector<Point> thin{{0, 1.0}};
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool last = i + 1 == steps.size();
    if (last || Stretch(steps[i].x, per_decade) != Stretch(steps[i + 1].x, per_decade)) {
      thin.push_back(steps[i]);
    }
  }
  return thin;
}

}  // namespace

SurvivalCurve Survival(std::vector<Wait> waits, int per_decade) {
  SurvivalCurve result;
  result.n = waits.size();
  // At equal times whoever went comes before whoever was last seen then.
  std::sort(waits.begin(), waits.end(), [](const Wait& a, const Wait& b) {
    return a.ms != b.ms ? a.ms < b.ms : !a.censored && b.censored;
  });
  std::vector<Point> steps;
  double share = 1;
  for (size_t i = 0; i < waits.size();) {
    const size_t at_risk = waits.size() - i;
    size_t gone = 0, end = i;
    for (; end < waits.size() && waits[end].ms == waits[i].ms; ++end) {
      if (waits[end].censored) {
        ++result.censored;
      } else {
        ++gone;
      }
    }
    share *= 1 - static_cast<double>(gone) / static_cast<double>(at_risk);
    steps.push_back({waits[i].ms, share});
    i = end;
  }
  result.curve = Thin(steps, per_decade);
  return result;
}

}  // namespace indoubt
