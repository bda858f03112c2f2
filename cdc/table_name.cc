#include "cdc/table_name.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace indoubt {
namespace {

constexpr size_t kMaxBytes = 63;
constexpr size_t kMaxParts = 3;  // database, schema, table
constexpr std::string_view kSpace = " \t\n\r\f\v";

void SkipSpace(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
}

// Takes `"..."` from the beginning of `text`; false when it does not end.
bool TakeQuoted(std::string_view& text, std::string& name) {
  text.remove_prefix(1);
  for (;;) {
    const size_t quote = text.find('"');
    if (quote == std::string_view::npos) return false;
    name += text.substr(0, quote);
    text.remove_prefix(quote + 1);
    if (!text.starts_with('"')) return true;
    name += '"';
    text.remove_prefix(1);
  }
}

char Folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Up to a dot or a space, whatever it is. Only ASCII is folded, as in a database in UTF-8.
void TakePlain(std::string_view& text, std::string& name) {
  const std::string_view plain = text.substr(0, text.find_first_of(" \t\n\r\f\v."));
  for (const char c : plain) name += Folded(c);
  text.remove_prefix(plain.size());
}

// In a sink, "indoubt:..." are keys of participants and views, and indoubt_... tables of
// theirs.
Status CheckNotOurs(const std::string& name) {
  std::string folded;
  for (const char c : name) folded += Folded(c);
  if (folded != "indoubt" && !folded.starts_with("indoubt_")) return Status::Ok();
  return Status(
      StatusCode::kInvalidArgument,
      fmt::format("a table named {} cannot be followed: its rows would have the names "
                  "of what indoubt itself keeps in a view's store; rename it",
                  name));
}

}  // namespace

Result<std::string> BareTableName(std::string_view text) {
  const auto wrong = [whole = text](std::string_view why) {
    return Status(
        StatusCode::kInvalidArgument,
        fmt::format("\"{}\" is no name of a table: {}; write TABLE or SCHEMA.TABLE, in "
                    "double quotes what PostgreSQL would not take without",
                    whole.substr(0, 200), why));
  };
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    return wrong("a number needs quotes");
  }
  for (size_t part = 1; part <= kMaxParts; ++part) {
    std::string name;
    SkipSpace(text);
    if (!text.starts_with('"')) {
      TakePlain(text, name);
    } else if (!TakeQuoted(text, name)) {
      return wrong("a quote is not closed");
    }
    if (name.empty()) return wrong("a part of it is empty");
    if (name.size() > kMaxBytes) return wrong("a part of it has more than 63 bytes");
    SkipSpace(text);
    if (text.empty()) return name;
    if (!text.starts_with('.')) return wrong("something follows on a name");
    text.remove_prefix(1);
  }
  return wrong("it has too many parts");
}

Result<std::vector<std::string>> BareTableNames(const std::vector<std::string>& tables) {
  std::vector<std::string> names;
  for (const std::string& table : tables) {
    INDOUBT_ASSIGN_OR_RETURN(std::string name, BareTableName(table));
    INDOUBT_RETURN_IF_ERROR(CheckNotOurs(name));
    // SQLite's names are the same whatever the case of their ASCII letters.
    const auto same = [&](const std::string& other) {
      return std::equal(name.begin(), name.end(), other.begin(), other.end(),
                        [](char a, char b) { return Folded(a) == Folded(b); });
    };
    if (std::find_if(names.begin(), names.end(), same) != names.end()) {
      return Status(
          StatusCode::kInvalidArgument,
          fmt::format("two tables are named {}: a view holds each under its own name, "
                      "whatever its schema and the case of its letters; publish one of them, "
                      "the other through a "
                      "worker and views of its own",
                      name));
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace indoubt
