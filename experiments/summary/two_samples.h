// Whether the repetitions of one run differ from those of another: exact for the few
// repetitions that runs have (3 to 10 of each), whatever the distribution.
#pragma once

#include <optional>
#include <vector>

namespace indoubt {

/// By how much the second sample is above the first.
struct Shift {
  double estimate = 0;  // Hodges-Lehmann: the median over all pairs
  /// None where no interval of this level exists: below 5 and 5 repetitions at 99
  /// percent, below 4 and 4 at 95.
  std::optional<double> low, high;
};

/// The differences second - first. The interval is the one that belongs to the exact
/// rank-sum test of Mann and Whitney (Hollander, Wolfe, Nonparametric Statistical Methods,
/// 4.3): ordered pairwise differences, covering with at least `level` (0.95, 0.99),
/// more where values tie. Above 50 repetitions the ranks are the normal approximation's.
/// None when a sample is empty.
std::optional<Shift> Difference(const std::vector<double>& first,
                                const std::vector<double>& second, double level);

/// The same of the ratios second / first; it excludes 1 exactly when the interval of
/// the difference excludes 0. None also when a value is not above 0.
std::optional<Shift> Ratio(const std::vector<double>& first, const std::vector<double>& second,
                           double level);

/// One figure of both runs, by repetition; none where a repetition lacks it. Every line of
/// a family has the same number of repetitions on each side.
struct FamilyLine {
  std::vector<std::optional<double>> first, second;
};

/// For each line, how often chance alone would have given some line of the family
/// at least as large a difference, in either direction: the single-step maxT permutation
/// test (Westfall, Young, Resampling-Based Multiple Testing, 1993, 2.3) over which
/// repetitions belong to which run, with Student's t of the logarithms (of the values
/// where one is not above 0). A repetition moves with all its figures, so that figures that
/// move together are not counted as independent. Exact over all labelings up to 200,000 of
/// them (10 against 10 repetitions are 184,756), else over 20,000 drawn with seed 42.
std::vector<double> FamilyProbabilities(const std::vector<FamilyLine>& lines);

}  // namespace indoubt
