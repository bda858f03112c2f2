#include "participants/postgres/sql_text.h"

#include <array>

#include <fmt/format.h>

namespace indoubt::pg {
namespace {

constexpr size_t kMaxParameters = 65535;  // the wire's count has 16 bits

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool IsWordChar(char c) {
  const char upper = Upper(c);
  return (upper >= 'A' && upper <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The position after a comment that starts at `at`, or `at` when none does.
/// PostgreSQL's block comments nest.
size_t SkipComment(std::string_view sql, size_t at) {
  if (sql.substr(at, 2) == "--") {
    const size_t end = sql.find_first_of("\r\n", at);
    return end == std::string_view::npos ? sql.size() : end;
  }
  if (sql.substr(at, 2) != "/*") return at;
  int depth = 0;
  while (at < sql.size()) {
    if (sql.substr(at, 2) == "/*") {
      ++depth;
      at += 2;
    } else if (sql.substr(at, 2) == "*/") {
      at += 2;
      if (--depth == 0) return at;
    } else {
      ++at;
    }
  }
  return at;
}

size_t SkipToWord(std::string_view sql, size_t at, bool over_punctuation) {
  while (at < sql.size()) {
    const bool punctuation = over_punctuation && (sql[at] == ';' || sql[at] == '(');
    const size_t after = IsSpace(sql[at]) || punctuation ? at + 1 : SkipComment(sql, at);
    if (after == at) break;
    at = after;
  }
  return at;
}

std::string WordAt(std::string_view sql, size_t& at) {
  std::string word;
  while (at < sql.size() && IsWordChar(sql[at])) word += Upper(sql[at++]);
  return word;
}

struct FirstWords {
  std::string first;
  std::string second;
};
FirstWords ReadFirstWords(std::string_view sql) {
  FirstWords words;
  size_t at = SkipToWord(sql, 0, /*over_punctuation=*/true);
  words.first = WordAt(sql, at);
  at = SkipToWord(sql, at, /*over_punctuation=*/false);
  words.second = WordAt(sql, at);
  return words;
}

template <size_t N>
bool IsOneOf(std::string_view word, const std::array<std::string_view, N>& words) {
  for (const std::string_view candidate : words) {
    if (word == candidate) return true;
  }
  return false;
}

bool ContainsIgnoringCase(std::string_view text, std::string_view upper_piece) {
  if (text.size() < upper_piece.size()) return false;
  for (size_t start = 0; start + upper_piece.size() <= text.size(); ++start) {
    size_t i = 0;
    while (i < upper_piece.size() && Upper(text[start + i]) == upper_piece[i]) ++i;
    if (i == upper_piece.size()) return true;
  }
  return false;
}

}  // namespace

std::string FirstKeyword(std::string_view sql) { return ReadFirstWords(sql).first; }

Status CheckStatement(const Statement& statement) {
  if (statement.text.find('\0') != std::string::npos) {
    return Status(StatusCode::kAborted, "the statement holds a NUL byte; SQL text cannot");
  }
  const FirstWords words = ReadFirstWords(statement.text);
  if (words.first.empty()) {
    return Status(StatusCode::kAborted, "it is empty, or begins with no word of SQL");
  }
  constexpr std::array<std::string_view, 6> kControl{"BEGIN", "START", "COMMIT",
                                                     "END",   "ABORT", "ROLLBACK"};
  const bool to_savepoint = words.first == "ROLLBACK" && words.second == "TO";
  const bool prepares = words.first == "PREPARE" && words.second == "TRANSACTION";
  if (prepares || (IsOneOf(words.first, kControl) && !to_savepoint)) {
    return Status(StatusCode::kAborted,
                  fmt::format("{} is the coordinator's to send; leave it out", words.first));
  }
  if (words.first == "COPY") {
    return Status(StatusCode::kAborted, "COPY cannot be part of a branch; use INSERT");
  }
  if (statement.params.size() > kMaxParameters) {
    return Status(StatusCode::kAborted, fmt::format("{} parameters; PostgreSQL takes {}",
                                                    statement.params.size(), kMaxParameters));
  }
  for (const Value& value : statement.params) {
    if (std::holds_alternative<std::vector<Value>>(value.held)) {
      return Status(StatusCode::kAborted, "a list cannot be a parameter");
    }
    const auto* text = std::get_if<std::string>(&value.held);
    if (text != nullptr && text->find('\0') != std::string::npos) {
      return Status(StatusCode::kAborted,
                    "a text parameter holds a NUL byte; pass it as bytes (bytea)");
    }
  }
  return Status::Ok();
}

bool LooksReadOnly(std::string_view sql) {
  constexpr std::array<std::string_view, 6> kReading{"SELECT", "VALUES",  "TABLE",
                                                     "SHOW",   "EXPLAIN", "WITH"};
  return IsOneOf(FirstKeyword(sql), kReading);
}

bool TakesLock(std::string_view sql) {
  const std::string first = FirstKeyword(sql);
  return first == "LOCK" || ContainsIgnoringCase(sql, "ADVISORY_XACT") ||
         (first == "DO" && ContainsIgnoringCase(sql, "LOCK"));
}

bool Notifies(std::string_view sql) {
  return FirstKeyword(sql) == "NOTIFY" || ContainsIgnoringCase(sql, "PG_NOTIFY");
}

bool MayReturnRows(std::string_view sql) {
  constexpr std::array<std::string_view, 4> kWriting{"INSERT", "UPDATE", "DELETE", "MERGE"};
  return !IsOneOf(FirstKeyword(sql), kWriting) || ContainsIgnoringCase(sql, "RETURNING");
}

bool MayBeKept(std::string_view sql) {
  constexpr size_t kLongest = 8192;  // bytes; the server holds it, and its plan
  constexpr std::array<std::string_view, 7> kPlain{"SELECT", "INSERT", "UPDATE", "DELETE",
                                                   "VALUES", "WITH",   "MERGE"};
  if (sql.size() > kLongest || !IsOneOf(FirstKeyword(sql), kPlain)) return false;
  for (size_t at = 0; at < sql.size(); ++at) {
    const char next = at + 1 < sql.size() ? sql[at + 1] : '\0';
    const bool parameter = next >= '0' && next <= '9';
    if (sql[at] == '\'' || (sql[at] == '$' && !parameter)) return false;
  }
  return sql.find('*') == sql.npos || !MayReturnRows(sql);
}

bool MayChangeSession(std::string_view sql) {
  constexpr std::array<std::string_view, 8> kPlain{"SELECT", "INSERT", "UPDATE", "DELETE",
                                                   "VALUES", "WITH",   "MERGE",  "LOCK"};
  return !IsOneOf(FirstKeyword(sql), kPlain) || ContainsIgnoringCase(sql, "SET_CONFIG") ||
         ContainsIgnoringCase(sql, "ADVISORY");
}

}  // namespace indoubt::pg
