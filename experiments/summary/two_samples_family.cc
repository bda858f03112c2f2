#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "base/check.h"
#include "experiments/summary/two_samples.h"

namespace indoubt {
namespace {

constexpr double kMostLabelings = 200'000;
constexpr int kDrawn = 20'000;
constexpr uint64_t kSeed = 42;
// Every value of one run the same, every value of the other another: no noise at all.
constexpr double kWithoutNoise = 1e12;

/// A line made ready: values less the first one (equal ones are exactly 0), absent ones 0.
struct Centred {
  std::vector<double> values;
  std::vector<double> present;  // 1 or 0
  double count = 0, sum = 0, squares = 0;
};

Centred Centre(const FamilyLine& line) {
  std::vector<std::optional<double>> all = line.first;
  all.insert(all.end(), line.second.begin(), line.second.end());
  const bool logarithms = std::all_of(all.begin(), all.end(),
                                      [](const auto& value) { return !value || *value > 0; });
  std::optional<double> origin;
  Centred centred;
  for (const auto& value : all) {
    if (value && !origin) origin = *value;
    const double moved = !value       ? 0
                         : logarithms ? std::log(*value / *origin)
                                      : *value - *origin;
    centred.values.push_back(moved);
    centred.present.push_back(value ? 1 : 0);
    centred.count += value ? 1 : 0;
    centred.sum += moved;
    centred.squares += moved * moved;
  }
  return centred;
}

/// |t| with the pooled variance when `members` are the first sample.
double Student(const Centred& line, const std::vector<size_t>& members) {
  double count = 0, sum = 0;
  for (const size_t i : members) {
    count += line.present[i];
    sum += line.values[i];
  }
  const double others = line.count - count;
  if (count == 0 || others == 0 || line.count < 3) return 0;
  const double difference = std::abs(sum / count - (line.sum - sum) / others);
  if (difference == 0) return 0;
  const double spread = line.squares - line.sum * line.sum / line.count;
  const double within = spread - count * others / line.count * difference * difference;
  if (within <= 1e-12 * spread) return kWithoutNoise;
  return difference / std::sqrt(within / (line.count - 2) * (1 / count + 1 / others));
}

/// The next choice of members in the order of the numbers; false after the last.
bool NextChoice(std::vector<size_t>& members, size_t n) {
  const size_t k = members.size();
  size_t i = k;
  while (i > 0 && members[i - 1] == n - k + i - 1) --i;
  if (i == 0) return false;
  ++members[i - 1];
  for (; i < k; ++i) members[i] = members[i - 1] + 1;
  return true;
}

double Labelings(size_t n, size_t k) {
  double count = 1;
  for (size_t i = 1; i <= k; ++i) {
    count = count * static_cast<double>(n - k + i) / static_cast<double>(i);
  }
  return count;
}

}  // namespace

std::vector<double> FamilyProbabilities(const std::vector<FamilyLine>& lines) {
  if (lines.empty()) return {};
  const size_t first = lines[0].first.size();
  const size_t n = first + lines[0].second.size();
  std::vector<Centred> centred;
  for (const FamilyLine& line : lines) {
    INDOUBT_CHECK(line.first.size() == first && line.first.size() + line.second.size() == n,
                  "the lines of a family have the same repetitions");
    centred.push_back(Centre(line));
  }
  std::vector<size_t> members(first);
  std::iota(members.begin(), members.end(), size_t{0});
  std::vector<double> observed;
  observed.reserve(centred.size());
  for (const Centred& line : centred) observed.push_back(Student(line, members));

  std::vector<double> as_large(lines.size(), 0);
  double labelings = 0;
  const auto judge = [&] {
    double largest = 0;
    for (const Centred& line : centred) largest = std::max(largest, Student(line, members));
    // The same labeling may sum up in another order.
    for (size_t i = 0; i < observed.size(); ++i) {
      as_large[i] += largest >= observed[i] * (1 - 1e-9) ? 1 : 0;
    }
    ++labelings;
  };
  judge();  // the one that was observed
  if (Labelings(n, first) <= kMostLabelings) {
    while (NextChoice(members, n)) judge();
  } else {
    std::mt19937_64 random(kSeed);
    std::vector<size_t> order(n);
    std::iota(order.begin(), order.end(), size_t{0});
    for (int draw = 0; draw < kDrawn; ++draw) {
      for (size_t i = 0; i < first; ++i) std::swap(order[i], order[i + random() % (n - i)]);
      std::copy_n(order.begin(), first, members.begin());
      judge();
    }
  }
  for (double& count : as_large) count /= labelings;
  return as_large;
}

}  // namespace indoubt
