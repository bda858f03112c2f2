#include "cli/exec_request.h"

#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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

}  // namespace

Value ParseParam(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_null()) return {};
  if (json.is_boolean()) return {json.get<bool>()};
  if (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX) return {text};
  if (json.is_number_integer()) return {json.get<int64_t>()};
  if (json.is_number_float()) return {json.get<double>()};
  if (json.is_string()) return {json.get<std::string>()};
  return {text};
}

Result<std::vector<AddressedStatement>> LoadStatements(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{}: cannot read this file", path));
  }
  INDOUBT_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text.str(), path));
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

}  // namespace indoubt::cli
