#include "cli/exec_request.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/small_file.h"
#include "cli/toml_reader.h"

namespace indoubt::cli {
namespace {

Result<Value> ToValue(const toml::node& node) {
  if (const auto* text = node.as_string()) return Value{text->get()};
  if (const auto* integer = node.as_integer()) return Value{int64_t{integer->get()}};
  if (const auto* real = node.as_floating_point()) return Value{real->get()};
  if (const auto* boolean = node.as_boolean()) return Value{boolean->get()};
  return Status(StatusCode::kInvalidArgument, "a parameter is a string, number or boolean");
}

Result<AddressedStatement> ReadStatement(const toml::table& table, const std::string& path) {
  TomlReader reader(table, path, "statement");
  AddressedStatement addressed;
  addressed.participant = reader.RequiredString("on");
  addressed.statement.text = reader.RequiredString("text");
  if (const toml::node* params = reader.Node("params"); params != nullptr) {
    const toml::array* array = params->as_array();
    if (array == nullptr) reader.Wrong("params", "must be a list");
    for (size_t i = 0; array != nullptr && i < array->size(); ++i) {
      auto value = ToValue(*array->get(i));
      if (!value) {
        reader.Wrong("params", value.error().message());
        break;
      }
      addressed.statement.params.push_back(std::move(*value));
    }
  }
  if (const toml::node* rows = reader.Node("rows"); rows != nullptr) {
    const auto count = rows->value_exact<int64_t>();
    if (!count || *count < 0) reader.Wrong("rows", "must be a number of rows, 0 or more");
    addressed.statement.expect_rows = count;
  }
  INDOUBT_RETURN_IF_ERROR(reader.Finish());
  return addressed;
}

/// Whether `word` is an option of exec's, which stands where a statement should.
bool IsOption(const std::string& word) {
  static constexpr std::array<std::string_view, 10> kOptions{
      "--on",   "--rows",   "--param", "--server", "--timeout",
      "--json", "--config", "-c",      "--id",     "--return"};
  return std::find(kOptions.begin(), kOptions.end(), word.substr(0, word.find('='))) !=
         kOptions.end();
}

/// What a number of JSON stands for, whatever its notation: 0.DIGITS times ten to `exponent`,
/// without zeros at either end; zero has no digits.
struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t exponent = 0;
  bool operator==(const Decimal&) const = default;
};

Decimal ReadDecimal(std::string_view number) {
  Decimal read;
  const size_t e = std::min(number.find_first_of("eE"), number.size());
  bool behind_point = false;
  for (const char c : number.substr(0, e)) {
    if (c == '-') read.negative = true;
    if (c == '.') behind_point = true;
    if (c < '0' || c > '9') continue;
    const bool leading_zero = c == '0' && read.digits.empty();
    if (!leading_zero) read.digits += c;
    if (leading_zero && behind_point) --read.exponent;
    if (!leading_zero && !behind_point) ++read.exponent;
  }
  while (read.digits.ends_with('0')) read.digits.pop_back();
  if (read.digits.empty()) return {read.negative, "", 0};
  if (e < number.size()) {
    // Beyond these no double but 0 is left, whatever is in front.
    constexpr long kFar = 1'000'000'000;
    const long written = std::strtol(std::string(number.substr(e + 1)).c_str(), nullptr, 10);
    read.exponent += std::clamp(written, -kFar, kFar);
  }
  return read;
}

/// The number that `text`, a JSON float or an integer beyond int64, stands for: a double
/// where that has every digit of it, and else the text.
Value WithEveryDigit(const std::string& text, double nearest) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const std::string_view number =
      std::string_view(text).substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  const bool is_integer = number.find_first_of(".eE") == std::string_view::npos;
  if (is_integer || ReadDecimal(number) != ReadDecimal(fmt::format("{}", nearest))) {
    return {text};
  }
  return {nearest};
}

}  // namespace

Value ParseParam(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_null()) return {};
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX) return {text};
  if (json.is_number_integer()) return {json.get<int64_t>()};
  if (json.is_number_float()) return WithEveryDigit(text, json.get<double>());
  if (json.is_string()) return {json.get<std::string>()};
  return {text};
}

Result<std::vector<AddressedStatement>> LoadStatements(const std::string& path) {
  INDOUBT_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path));
  INDOUBT_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, path));
  TomlReader reader(table, path, "");
  const toml::node* node = reader.Node("statement");
  const toml::array* array = node == nullptr ? nullptr : node->as_array();
  if (array == nullptr || array->empty()) {
    reader.Wrong("statement", "write [[statement]] with on and text for each statement");
  }
  INDOUBT_RETURN_IF_ERROR(reader.Finish());
  std::vector<AddressedStatement> statements;
  for (const toml::node& item : *array) {
    const toml::table* statement = item.as_table();
    if (statement == nullptr) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{}: statement: must be tables, [[statement]]", path));
    }
    INDOUBT_ASSIGN_OR_RETURN(AddressedStatement read, ReadStatement(*statement, path));
    statements.push_back(std::move(read));
  }
  return statements;
}

Result<std::vector<AddressedStatement>> StatementsFromArguments(
    const std::vector<std::string>& raw) {
  std::vector<AddressedStatement> statements;
  for (size_t i = 0; i < raw.size(); ++i) {
    std::string option = raw[i];
    std::vector<std::string> values;
    if (const size_t equals = option.find('='); equals != std::string::npos) {
      values.push_back(option.substr(equals + 1));
      option.resize(equals);
    }
    const size_t takes = option == "--on"                            ? 2
                         : option == "--rows" || option == "--param" ? 1
                                                                     : 0;
    if (takes == 0) continue;
    while (values.size() < takes && i + 1 < raw.size()) values.push_back(raw[++i]);
    if (option == "--on" && (values.size() < 2 || IsOption(values[1]))) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("--on {}: no statement follows the name", values[0]));
    }
    if (option == "--on") {
      statements.push_back({values[0], {values[1], {}, {}}});
      continue;
    }
    if (statements.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("{} belongs after the --on that it is for", option));
    }
    Statement& statement = statements.back().statement;
    if (option == "--param") {
      statement.params.push_back(ParseParam(values[0]));
    } else if (statement.expect_rows) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("--rows {}: --rows {} is given for this statement already",
                                values[0], *statement.expect_rows));
    } else {
      statement.expect_rows = std::strtoll(values[0].c_str(), nullptr, 10);
    }
  }
  return statements;
}

}  // namespace indoubt::cli
