#include "experiments/summary/expect.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

Result<CheckTerm> ParseTerm(std::string_view text, const std::vector<std::string>& words) {
  CheckTerm term;
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

struct Value {
  std::optional<double> value;
  std::string missing;
};

/// The cell whose name begins `reference` (names may contain dots: the longest wins).
const json* FindCell(const json& cells, const std::string& reference, std::string& figure) {
  const json* found = nullptr;
  size_t length = 0;
  for (const json& cell : cells) {
    const std::string name = cell.at("name").get<std::string>() + ".";
    if (reference.starts_with(name) && name.size() > length) {
      found = &cell;
      length = name.size();
      figure = reference.substr(length);
    }
  }
  return found;
}

Value Worst(const json& cell, const std::string& reference, const std::string& figure) {
  std::string pointer = "/" + figure;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  std::optional<double> worst;
  for (const json& rep : cell.at("reps")) {
    const json value = rep.value(json::json_pointer(pointer), json());
    if (!value.is_number()) {
      return {std::nullopt, fmt::format("{} is missing in repetition {}", reference,
                                        rep.at("n").get<int64_t>())};
    }
    worst = std::max(worst.value_or(value.get<double>()), value.get<double>());
  }
  return {worst, worst ? "" : reference + ": no repetition was run"};
}

Value Figure(const json& cells, const std::string& reference) {
  std::string figure;
  const json* cell = FindCell(cells, reference, figure);
  if (cell == nullptr) return {std::nullopt, reference + ": the run has no such cell"};
  if (IsCorrectnessFigure(figure)) return Worst(*cell, reference, figure);
  const json& stats = cell->at("stats");
  if (!stats.contains(figure)) return {std::nullopt, reference + " was not measured"};
  return {stats.at(figure).at("median").get<double>(), ""};
}

Value Evaluate(const CheckTerm& term, const json& cells) {
  if (term.number) return {term.number, ""};
  Value value = Figure(cells, term.figure);
  if (!value.value || term.divisor.empty()) return value;
  Value divisor = Figure(cells, term.divisor);
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

bool IsCorrectnessFigure(std::string_view figure) {
  return figure.starts_with("inconsistent.") || figure == "lost_acknowledged" ||
         figure == "resurrected" || figure == "leftovers" || figure == "unwritable";
}

json EvaluateCheck(const Check& check, const json& cells) {
  const Value left = Evaluate(check.left, cells);
  const Value right = Evaluate(check.right, cells);
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
