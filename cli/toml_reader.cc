#include "cli/toml_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/duration.h"

namespace indoubt::cli {
namespace {

/// A message may show keys and stray bytes of the file, and goes to a terminal: what is a
/// control character there is shown as \xNN, and what is endless is cut.
std::string ForTerminal(std::string_view message) {
  constexpr size_t kLongest = 1000;
  std::string shown;
  for (const char c : message.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      shown += fmt::format("\\x{:02x}", byte);
    } else {
      shown += c;
    }
  }
  return message.size() > kLongest ? shown + "..." : shown;
}

}  // namespace

Result<toml::table> ParseToml(const std::string& text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("{}:{}:{}: {}", path, static_cast<uint32_t>(begin.line),
                    static_cast<uint32_t>(begin.column), ForTerminal(error.description())));
  }
}

const toml::node* TomlReader::Take(const std::string& key) {
  known_.insert(key);
  return table_.get(key);
}

std::string TomlReader::PlaceAt(const toml::source_region& where,
                                const std::string& key) const {
  const std::string full = prefix_.empty() ? key : key.empty() ? prefix_ : prefix_ + "." + key;
  return fmt::format("{}:{}:{}: {}", file_, std::max<uint32_t>(1, where.begin.line),
                     std::max<uint32_t>(1, where.begin.column), ForTerminal(full));
}

std::string TomlReader::Place(const std::string& key) const {
  const toml::node* node = table_.get(key);
  return PlaceAt(node != nullptr ? node->source() : table_.source(), key);
}

void TomlReader::WrongAt(const toml::source_region& where, const std::string& key,
                         const std::string& what) {
  if (!status_.ok()) return;
  status_ = Status(StatusCode::kInvalidArgument,
                   fmt::format("{}: {}", PlaceAt(where, key), ForTerminal(what)));
}

void TomlReader::Wrong(const std::string& key, const std::string& what) {
  const toml::node* node = table_.get(key);
  WrongAt(node != nullptr ? node->source() : table_.source(), key, what);
}

std::string TomlReader::String(const std::string& key, const std::string& fallback) {
  const toml::node* node = Take(key);
  if (node == nullptr) return fallback;
  if (const auto* value = node->as_string()) return value->get();
  Wrong(key, "must be a string in quotes");
  return fallback;
}

std::string TomlReader::RequiredString(const std::string& key) {
  if (!Has(key)) Wrong(key, "is missing");
  return String(key, "");
}

bool TomlReader::Bool(const std::string& key, bool fallback) {
  const toml::node* node = Take(key);
  if (node == nullptr) return fallback;
  if (const auto* value = node->as_boolean()) return value->get();
  Wrong(key, "must be true or false");
  return fallback;
}

Duration TomlReader::DurationOf(const std::string& key, Duration fallback) {
  const toml::node* node = Take(key);
  if (node == nullptr) return fallback;
  if (node->is_number()) {
    Wrong(key, "has no unit; write a string such as \"5s\" or \"500ms\"");
    return fallback;
  }
  const auto duration = ParseDuration(String(key, ""));
  if (duration) return *duration;
  Wrong(key, duration.error().message());
  return fallback;
}

std::vector<std::string> TomlReader::RequiredStrings(const std::string& key) {
  std::vector<std::string> strings;
  const toml::node* node = Take(key);
  const toml::array* array = node == nullptr ? nullptr : node->as_array();
  if (array != nullptr) {
    for (const toml::node& item : *array) {
      if (const auto* value = item.as_string()) strings.push_back(value->get());
    }
  }
  if (array == nullptr || strings.empty() || strings.size() != array->size()) {
    Wrong(key, "must be a list of at least one string, e.g. [\"entries\"]");
  }
  return strings;
}

std::vector<std::string> TomlReader::Strings(const std::string& key) {
  return Take(key) == nullptr ? std::vector<std::string>{} : RequiredStrings(key);
}

const toml::table* TomlReader::Table(const std::string& key) {
  const toml::node* node = Take(key);
  if (node == nullptr) return nullptr;
  if (const toml::table* table = node->as_table()) return table;
  Wrong(key, "must be a table");
  return nullptr;
}

Status TomlReader::Finish() {
  for (const auto& [key, node] : table_) {
    const std::string name(key.str());
    if (known_.contains(name)) continue;
    WrongAt(key.source(), name,
            fmt::format("unknown key; known here: {}", fmt::join(known_, ", ")));
  }
  return status_;
}

}  // namespace indoubt::cli
