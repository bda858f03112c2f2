#include <charconv>

#include <fmt/format.h>

#include "experiments/stores/store_clients.h"

namespace indoubt {

Cell TextOf(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value.held)) return std::to_string(*integer);
  if (const auto* text = std::get_if<std::string>(&value.held)) return *text;
  if (const auto* blob = std::get_if<Blob>(&value.held)) return blob->bytes;
  if (const auto* real = std::get_if<double>(&value.held)) return fmt::format("{}", *real);
  if (const auto* truth = std::get_if<bool>(&value.held)) return *truth ? "true" : "false";
  INDOUBT_CHECK(std::holds_alternative<std::monostate>(value.held), "a list is no parameter");
  return std::nullopt;
}

Result<std::vector<std::string>> SplitRedisStatement(const Statement& statement) {
  std::vector<std::string> arguments;
  const std::string& text = statement.text;
  for (size_t i = 0; i < text.size();) {
    if (text[i] == ' ') {
      ++i;
      continue;
    }
    const char quote = text[i] == '"' || text[i] == '\'' ? text[i] : '\0';
    const size_t from = i + (quote != '\0');
    const size_t end = text.find(quote != '\0' ? quote : ' ', from);
    if (quote != '\0' && end == std::string::npos) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("Redis: a quote is not closed in: {}", text));
    }
    std::string argument = text.substr(from, end - from);
    size_t index = 0;
    const char* last = argument.data() + argument.size();
    if (quote == '\0' && argument.size() > 1 && argument[0] == '$' &&
        std::from_chars(argument.data() + 1, last, index).ptr == last && index >= 1 &&
        index <= statement.params.size()) {
      argument = TextOf(statement.params[index - 1]).value_or("");
    }
    arguments.push_back(std::move(argument));
    i = end == std::string::npos ? text.size() : end + 1;
  }
  return arguments;
}

}  // namespace indoubt
