#include "participants/sqlite/check_constraints.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace indoubt::sqlite {
namespace {

constexpr std::array<std::string_view, 5> kUnrepeatable = {
    "last_insert_rowid", "changes", "total_changes", "random", "randomblob"};

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

/// SQL in tokens: words in lower case, names without their quotes, other bytes alone;
/// string literals, blanks and comments left out.
class Tokens {
 public:
  explicit Tokens(std::string_view sql) : rest_(sql) {}

  /// The next one; empty at the end.
  std::string Next() {
    while (!rest_.empty()) {
      const char c = rest_[0];
      if (rest_.starts_with("--")) {
        Drop(rest_.find('\n'));
      } else if (rest_.starts_with("/*")) {
        const size_t end = rest_.find("*/", 2);
        Drop(end == rest_.npos ? end : end + 2);
      } else if (c == '\'') {
        Quoted('\'');
      } else if (c == '"' || c == '`' || c == '[') {
        return Lower(Quoted(c == '[' ? ']' : c));
      } else if (IsWordByte(c)) {
        size_t end = 1;
        while (end < rest_.size() && IsWordByte(rest_[end])) ++end;
        return Lower(Drop(end));
      } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
        Drop(1);
      } else {
        return std::string(Drop(1));
      }
    }
    return {};
  }

 private:
  std::string_view Drop(size_t count) {
    const std::string_view dropped = rest_.substr(0, count);
    rest_.remove_prefix(dropped.size());
    return dropped;
  }
  /// What stands between the quotes. A doubled quote ends one and begins the next, which
  /// is as good here: no function's name has one in it.
  std::string_view Quoted(char close) {
    const size_t end = rest_.find(close, 1);
    const std::string_view whole = Drop(end == rest_.npos ? end : end + 1);
    return whole.substr(1, end == std::string_view::npos ? end : end - 1);
  }
  static std::string Lower(std::string_view word) {
    std::string lower(word);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return lower;
  }

  std::string_view rest_;
};

}  // namespace

std::string UnrepeatableCheck(std::string_view create_table) {
  Tokens tokens(create_table);
  int depth = 0;  // of parentheses, inside a CHECK
  std::string before;
  for (std::string token = tokens.Next(); !token.empty(); token = tokens.Next()) {
    if (token == "(" && (depth > 0 || before == "check")) {
      const bool found =
          std::find(kUnrepeatable.begin(), kUnrepeatable.end(), before) != kUnrepeatable.end();
      if (depth > 0 && found) return before;
      ++depth;
    } else if (token == ")" && depth > 0) {
      --depth;
    }
    before = std::move(token);
  }
  return {};
}

}  // namespace indoubt::sqlite
