#include "participants/redis/redis_statement.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

#include "base/text.h"

namespace indoubt {
namespace {

// A function holds all of Redis up while it runs.
constexpr size_t kMostStatements = 10'000;
constexpr size_t kMostBytes = size_t{64} << 20;
constexpr size_t kLongestName = 64;  // of a command; Redis' own have 20 characters at most

Status Wrong(std::string_view what) {
  return Status(StatusCode::kAborted,
                OneLine(fmt::format("the line cannot be read: {}", what)));
}

Result<std::string> ParamText(const Value& value) {
  struct Visitor {
    Result<std::string> operator()(std::monostate) const {
      return Status(StatusCode::kAborted, "Redis has no null; leave the parameter out");
    }
    Result<std::string> operator()(bool held) const { return std::string(held ? "1" : "0"); }
    Result<std::string> operator()(int64_t held) const { return std::to_string(held); }
    Result<std::string> operator()(double held) const { return fmt::format("{}", held); }
    Result<std::string> operator()(const std::string& held) const { return held; }
    Result<std::string> operator()(const Blob& held) const { return held.bytes; }
    Result<std::string> operator()(const std::vector<Value>&) const {
      return Status(StatusCode::kAborted, "a list cannot be a parameter");
    }
  };
  return std::visit(Visitor{}, value.held);
}

/// Reads one word at a time.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  /// False at the end. `quoted` says whether any of it stood in quotes.
  Result<bool> Next(std::string& word, bool& quoted) {
    word.clear();
    quoted = false;
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    if (at_ == text_.size()) return false;
    while (at_ < text_.size() && !IsSpace(text_[at_])) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        quoted = true;
        INDOUBT_RETURN_IF_ERROR(TakeQuoted(c, word));
      } else {
        word += c;
        ++at_;
      }
    }
    return true;
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

  Status TakeQuoted(char quote, std::string& word) {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        return at_ == text_.size() || IsSpace(text_[at_])
                   ? Status::Ok()
                   : Wrong("a closing quote must be followed by a space");
      }
      if (c == '\\' && at_ + 1 < text_.size()) {
        TakeEscape(quote, word);
      } else {
        word += c;
      }
    }
    return Wrong("a quote is not closed");
  }

  void TakeEscape(char quote, std::string& word) {
    const char c = text_[++at_];
    if (quote == '\'') {
      if (c != '\'') word += '\\';
      word += c;
      return;
    }
    int value = 0;
    if (c == 'x' && at_ + 2 < text_.size() &&
        std::from_chars(text_.data() + at_ + 1, text_.data() + at_ + 3, value, 16).ptr ==
            text_.data() + at_ + 3) {
      word += static_cast<char>(value);
      at_ += 2;
      return;
    }
    constexpr std::string_view kNames = "nrtba", kBytes = "\n\r\t\b\a";
    const size_t known = kNames.find(c);
    word += known == std::string_view::npos ? c : kBytes[known];
  }

  std::string_view text_;
  size_t at_ = 0;
};

Value DecodeReply(const redisReply& reply) {
  const std::string_view tag(reply.element[0]->str, reply.element[0]->len);
  if (tag == "n") return {};
  const redisReply& held = *reply.element[1];
  if (tag == "a") {
    std::vector<Value> items;
    for (size_t i = 0; i < held.elements; ++i) items.push_back(DecodeReply(*held.element[i]));
    return {std::move(items)};
  }
  std::string text(held.str, held.len);
  if (tag == "i") return {int64_t{std::strtoll(text.c_str(), nullptr, 10)}};
  if (!IsUtf8(text)) return {Blob{std::move(text)}};
  return {std::move(text)};
}

}  // namespace

Result<std::vector<std::string>> SplitRedisLine(const Statement& statement) {
  std::vector<std::string> words;
  std::vector<bool> used(statement.params.size());
  Splitter splitter(statement.text);
  std::string word;
  bool quoted = false;
  for (;;) {
    INDOUBT_ASSIGN_OR_RETURN(const bool more, splitter.Next(word, quoted));
    if (!more) break;
    size_t number = 0;
    const bool is_param =
        !quoted && word.size() > 1 && word[0] == '$' &&
        std::from_chars(word.data() + 1, word.data() + word.size(), number).ptr ==
            word.data() + word.size();
    if (!is_param) {
      words.push_back(word);
      continue;
    }
    if (number == 0 || number > statement.params.size()) {
      return Wrong(fmt::format("{} was not given", word));
    }
    used[number - 1] = true;
    INDOUBT_ASSIGN_OR_RETURN(std::string text, ParamText(statement.params[number - 1]));
    words.push_back(std::move(text));
  }
  if (words.empty()) return Wrong("it is empty");
  if (words[0].size() > kLongestName) {
    return Wrong(fmt::format("no command has a name of {} bytes", words[0].size()));
  }
  for (size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) return Wrong(fmt::format("parameter ${} is not used", i + 1));
  }
  return words;
}

Result<std::vector<std::string>> EncodeBranchWork(const std::string& branch, size_t seen,
                                                  const std::string& digest,
                                                  const std::vector<Statement>& statements) {
  std::vector<std::string> arguments{branch, std::to_string(seen), digest,
                                     std::to_string(statements.size())};
  if (statements.size() > kMostStatements) {
    return Status(StatusCode::kAborted,
                  fmt::format("a branch has at most {} statements", kMostStatements));
  }
  size_t bytes = 0;
  for (const Statement& statement : statements) {
    auto split = SplitRedisLine(statement);
    if (!split) {
      const auto number = &statement - statements.data() + 1;
      return split.error().WithContext(fmt::format("statement {}", number));
    }
    std::vector<std::string> words = std::move(*split);
    arguments.push_back(statement.expect_rows ? std::to_string(*statement.expect_rows) : "");
    arguments.push_back(std::to_string(words.size()));
    for (std::string& word : words) {
      bytes += word.size();
      arguments.push_back(std::move(word));
    }
    if (bytes > kMostBytes) {
      return Status(StatusCode::kAborted,
                    fmt::format("a branch's statements hold at most {} bytes", kMostBytes));
    }
  }
  return arguments;
}

std::vector<StatementResult> DecodeResults(const redisReply& results) {
  std::vector<StatementResult> decoded;
  for (size_t i = 0; i < results.elements; ++i) {
    const redisReply& one = *results.element[i];
    decoded.push_back({one.element[0]->integer, {DecodeReply(*one.element[1])}});
  }
  return decoded;
}

}  // namespace indoubt
