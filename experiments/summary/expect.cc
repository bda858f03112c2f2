#include "experiments/summary/expect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiments/summary/cell_figure.h"
#include "experiments/summary/figure_names.h"
#include "experiments/summary/figures.h"
#include "experiments/summary/statistics.h"

namespace indoubt {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<std::string_view, CheckOperator>, 6> kOperators{{
    {"<", CheckOperator::kLess},
    {"<=", CheckOperator::kLessEqual},
    {"==", CheckOperator::kEqual},
    {"!=", CheckOperator::kNotEqual},
    {">=", CheckOperator::kGreaterEqual},
    {">", CheckOperator::kGreater},
}};

std::optional<CheckOperator> FindOperator(const std::string& word) {
  for (const auto& [name, op] : kOperators) {
    if (name == word) return op;
  }
  return std::nullopt;
}

Status Malformed(std::string_view text, const std::string& why) {
  return Status(StatusCode::kInvalidArgument,
                fmt::format("check '{}': {}; write it as 'CELL.FIGURE OP NUMBER', e.g. "
                            "'2pc.inconsistent.permanent == 0'",
                            text, why));
}

Result<CheckTerm> ParseTerm(std::string_view text, std::vector<std::string> words) {
  CheckTerm term;
  if (words.size() == 4 && (words[0] == "ci_low" || words[0] == "ci_high")) {
    term.bound = words[0];
    words.erase(words.begin());
  }
  if (words.size() == 1) {
    double number = 0;
    const std::string& word = words[0];
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size()) {
      term.number = number;
      return term;
    }
  }
  const bool ratio = words.size() == 3 && words[1] == "/";
  if (words.size() != 1 && !ratio) return Malformed(text, "each side is one term");
  for (size_t i = 0; i < words.size(); i += 2) {
    if (words[i].find('.') == std::string::npos) {
      return Malformed(text, "'" + words[i] + "' is neither a number nor cell.figure");
    }
  }
  term.figure = words[0];
  if (ratio) term.divisor = words[2];
  return term;
}

/// The cell and the figure that `text` names; a null cell when there is no such.
std::pair<const json*, std::string> Locate(const json& cells, const std::string& text) {
  std::vector<std::string> names;
  for (const json& cell : cells) names.push_back(cell.at("name").get<std::string>());
  const auto reference = SplitReference(names, text);
  if (!reference) return {nullptr, ""};
  const auto at = std::find(names.begin(), names.end(), reference->cell) - names.begin();
  return {&cells.at(static_cast<size_t>(at)), reference->figure};
}

CellValue Figure(const json& cells, const std::string& text) {
  const auto [cell, figure] = Locate(cells, text);
  if (cell == nullptr) return {std::nullopt, text + ": the run has no such cell"};
  if (const std::string why = WhyNotJudged(*cell); !why.empty()) {
    return {std::nullopt, cell->at("name").get<std::string>() + " is " + why};
  }
  CellValue found = FigureOver(*cell, figure);
  if (!found.value) found.missing = text + " " + found.missing;
  return found;
}

/// The figure of each repetition that counts and has it, by number.
std::map<int64_t, double> ByRepetition(const json& cells, const std::string& text) {
  std::map<int64_t, double> values;
  const auto [cell, figure] = Locate(cells, text);
  if (cell == nullptr || !WhyNotJudged(*cell).empty()) return values;
  for (const json& rep : cell->at("reps")) {
    const json value = rep.value(FigurePointer(figure), json());
    const bool counts = CountsOverRepetitions(rep.value("status", json("done")));
    if (counts && value.is_number()) values[rep.at("n").get<int64_t>()] = value.get<double>();
  }
  return values;
}

/// The cells of one repetition run one after the other: what else the machine did then
/// is in both, and not in their ratio.
CellValue BoundOfRatio(const CheckTerm& term, const json& cells) {
  const std::map<int64_t, double> divisors = ByRepetition(cells, term.divisor);
  std::vector<double> ratios;
  for (const auto& [n, value] : ByRepetition(cells, term.figure)) {
    const auto divisor = divisors.find(n);
    if (divisor != divisors.end() && divisor->second != 0) {
      ratios.push_back(value / divisor->second);
    }
  }
  const auto interval = Median(std::move(ratios));
  if (!interval || !interval->ci_low) {
    return {std::nullopt,
            fmt::format("{} / {}: an interval needs six repetitions of both at least",
                        term.figure, term.divisor)};
  }
  return {term.bound == "ci_low" ? interval->ci_low : interval->ci_high, ""};
}

CellValue Evaluate(const CheckTerm& term, const json& cells) {
  if (term.number) return {term.number, ""};
  if (!term.bound.empty()) return BoundOfRatio(term, cells);
  CellValue value = Figure(cells, term.figure);
  if (!value.value || term.divisor.empty()) return value;
  CellValue divisor = Figure(cells, term.divisor);
  if (!divisor.value) return divisor;
  if (*divisor.value == 0) return {std::nullopt, term.divisor + " is 0"};
  return {*value.value / *divisor.value, ""};
}

bool Holds(double left, CheckOperator op, double right) {
  switch (op) {
    case CheckOperator::kLess:
      return left < right;
    case CheckOperator::kLessEqual:
      return left <= right;
    case CheckOperator::kEqual:
      return left == right;
    case CheckOperator::kNotEqual:
      return left != right;
    case CheckOperator::kGreaterEqual:
      return left >= right;
    case CheckOperator::kGreater:
      return left > right;
  }
  return false;
}

json OrNull(const std::optional<double>& value) { return value ? json(*value) : json(); }

}  // namespace

Result<Check> ParseCheck(std::string_view text) {
  Check check;
  check.text = text;
  std::vector<std::string> sides[2];
  bool seen = false;
  std::istringstream words(check.text);
  for (std::string word; words >> word;) {
    if (const auto op = FindOperator(word)) {
      if (seen) return Malformed(text, "one comparison only");
      check.op = *op;
      seen = true;
    } else {
      sides[seen ? 1 : 0].push_back(word);
    }
  }
  if (!seen) return Malformed(text, "no comparison (< <= == != >= >) between spaces");
  INDOUBT_ASSIGN_OR_RETURN(check.left, ParseTerm(text, sides[0]));
  INDOUBT_ASSIGN_OR_RETURN(check.right, ParseTerm(text, sides[1]));
  return check;
}

std::vector<std::string> References(const Check& check) {
  std::vector<std::string> references;
  for (const CheckTerm* term : {&check.left, &check.right}) {
    if (!term->figure.empty()) references.push_back(term->figure);
    if (!term->divisor.empty()) references.push_back(term->divisor);
  }
  return references;
}

std::optional<FigureReference> SplitReference(std::span<const std::string> cells,
                                              const std::string& text) {
  std::optional<FigureReference> found;
  for (const std::string& cell : cells) {
    const bool longer = !found || cell.size() > found->cell.size();
    if (longer && text.starts_with(cell + ".")) {
      found = FigureReference{cell, text.substr(cell.size() + 1)};
    }
  }
  return found;
}

json EvaluateCheck(const Check& check, const json& cells) {
  const CellValue left = Evaluate(check.left, cells);
  const CellValue right = Evaluate(check.right, cells);
  json result = {{"check", check.text},
                 {"observed", OrNull(left.value)},
                 {"limit", OrNull(right.value)},
                 {"verdict", "no_data"},
                 {"reason", nullptr}};
  if (!left.value || !right.value) {
    result["reason"] = left.value ? right.missing : left.missing;
    return result;
  }
  result["verdict"] = Holds(*left.value, check.op, *right.value) ? "pass" : "fail";
  return result;
}

}  // namespace indoubt
